//! The simple ways to copy, each as a process of its own: the walkthrough's loop, and plain copies in parallel.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use crate::storage::{BlobInfo, http_client_builder};

use super::cloud::storages;

/// How long the walkthrough's loop waits between two looks.
const POLL: Duration = Duration::from_secs(1);
/// Copies at once of the ceiling.
const AT_ONCE: usize = 32;
/// What is at least this large is measured by one file, and reckoned by the bytes.
const LARGE_BYTES: u64 = 32 * 1024 * 1024;
/// Copy Blob and everything else here.
const VERSION: (&str, &str) = ("x-ms-version", "2021-12-02");

/// What the benchmark starts itself as.
#[derive(Clone, Debug, Subcommand)]
pub enum PeerTask {
    /// One file after the other: Copy Blob in the service's own time, and a look each second whether it is there
    Walkthrough {
        /// The storage, without an account
        endpoint: Url,
        /// The container to copy
        source: String,
        /// Where to; it is there
        replica: String,
        /// Copies only so many small files and one large one, and reckons the rest; 0 for all
        #[arg(long, default_value_t = 0)]
        sample: usize,
    },
    /// As many plain synchronous copies at once as helps, with names and addresses known before
    Ceiling {
        /// The storage, without an account
        endpoint: Url,
        /// The container to copy
        source: String,
        /// Where to; it is there
        replica: String,
    },
}

/// What such a process prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PeerReport {
    /// How long it took or would take.
    pub(super) seconds: f64,
    /// Files that were really copied.
    pub(super) copied: u64,
    /// Files that there are.
    pub(super) files: u64,
}

/// Does it, and prints its report as JSON.
///
/// # Errors
/// When the storage refuses something.
pub async fn run_peer(task: &PeerTask) -> Result<()> {
    let report = match task {
        PeerTask::Walkthrough { endpoint, source, replica, sample } => {
            walkthrough(endpoint, source, replica, *sample).await?
        }
        PeerTask::Ceiling { endpoint, source, replica } => ceiling(endpoint, source, replica).await?,
    };
    #[expect(clippy::print_stdout, reason = "its report")]
    {
        println!("{}", serde_json::to_string(&report)?);
    }
    Ok(())
}

/// From and to, with their signatures.
type Addresses = (Url, Url);

async fn walkthrough(endpoint: &Url, source: &str, replica: &str, sample: usize) -> Result<PeerReport> {
    let started = Instant::now();
    let (http, blobs) = (http_client_builder().build()?, list(endpoint, source).await?);
    let listed = started.elapsed().as_secs_f64();
    let (large, small): (Vec<_>, Vec<_>) = blobs.iter().partition(|blob| blob.size >= LARGE_BYTES);
    let chosen_small = if sample == 0 { small.clone() } else { spread(&small, sample) };
    let chosen_large = if sample == 0 { large.clone() } else { median_by_size(&large) };
    let mut seconds = listed;
    let whole = |blobs: &[&BlobInfo]| blobs.iter().map(|blob| blob.size).sum::<u64>();
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^52")]
    let shares = [
        (&chosen_small, small.len() as f64 / chosen_small.len().max(1) as f64),
        (&chosen_large, whole(&large) as f64 / whole(&chosen_large).max(1) as f64),
    ];
    for (chosen, times) in shares {
        let from = Instant::now();
        for address in addresses(endpoint, source, replica, chosen)? {
            copy_and_poll(&http, address).await?;
        }
        seconds += from.elapsed().as_secs_f64() * times;
    }
    let copied = chosen_small.len() + chosen_large.len();
    Ok(PeerReport { seconds, copied: copied as u64, files: blobs.len() as u64 })
}

/// So many of them, evenly spread.
fn spread<'a>(blobs: &[&'a BlobInfo], count: usize) -> Vec<&'a BlobInfo> {
    let count = count.min(blobs.len());
    (0..count).map(|number| blobs[number * blobs.len() / count]).collect()
}

fn median_by_size<'a>(blobs: &[&'a BlobInfo]) -> Vec<&'a BlobInfo> {
    let mut blobs = blobs.to_vec();
    blobs.sort_by_key(|blob| blob.size);
    let middle = blobs.len().saturating_sub(1) / 2;
    blobs.get(middle).copied().into_iter().collect()
}

/// Copy Blob, then Get Blob Properties until `x-ms-copy-status` is no longer `pending`.
async fn copy_and_poll(http: &Client, (from, to): Addresses) -> Result<()> {
    expect_success(start_copy(http, &from, &to, false).await?).await?;
    loop {
        let answer = http.request(Method::HEAD, to.clone()).header(VERSION.0, VERSION.1).send().await?;
        let headers = expect_success(answer).await?;
        match headers.get("x-ms-copy-status").map(|status| status.as_bytes()) {
            Some(b"success") => return Ok(()),
            Some(b"pending") => tokio::time::sleep(POLL).await,
            other => bail!("{} is no copy: {}", to.path(), String::from_utf8_lossy(other.unwrap_or(b"no status"))),
        }
    }
}

async fn ceiling(endpoint: &Url, source: &str, replica: &str) -> Result<PeerReport> {
    let (http, blobs) = (http_client_builder().build()?, list(endpoint, source).await?);
    let addresses = addresses(endpoint, source, replica, &blobs.iter().collect::<Vec<_>>())?;
    let (http, from) = (&http, Instant::now());
    let copies = addresses
        .into_iter()
        .map(|(from, to)| async move { expect_success(start_copy(http, &from, &to, true).await?).await.map(drop) });
    futures::stream::iter(copies).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let files = blobs.len() as u64;
    Ok(PeerReport { seconds: from.elapsed().as_secs_f64(), copied: files, files })
}

async fn start_copy(http: &Client, from: &Url, to: &Url, is_synchronous: bool) -> Result<Response> {
    let mut request = http.put(to.clone()).header(VERSION.0, VERSION.1).header("content-length", "0");
    if is_synchronous {
        request = request.header("x-ms-requires-sync", "true");
    }
    request.header("x-ms-copy-source", from.as_str()).send().await.context("the storage gives no answer")
}

async fn expect_success(answer: Response) -> Result<HeaderMap> {
    let (status, path, headers) = (answer.status(), answer.url().path().to_owned(), answer.headers().clone());
    // read to the end, so that the connection can be used again
    let text = answer.text().await?;
    ensure!(status.is_success(), "{status} for {path}: {text}");
    Ok(headers)
}

async fn list(endpoint: &Url, source: &str) -> Result<Vec<BlobInfo>> {
    let [west, _] = storages(endpoint)?;
    west.list(source).await?.context("there is no such container")
}

fn addresses(endpoint: &Url, source: &str, replica: &str, blobs: &[&BlobInfo]) -> Result<Vec<Addresses>> {
    let [west, east] = storages(endpoint)?;
    let expiry = OffsetDateTime::now_utc() + time::Duration::days(1);
    let (read, write) = (west.container_sas(source, "r", expiry), east.container_sas(replica, "rcw", expiry));
    let both = |name: &str| (west.blob_url(source, name, Some(&read)), east.blob_url(replica, name, Some(&write)));
    Ok(blobs.iter().map(|blob| both(&blob.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_and_of_median_size() {
        let blobs: Vec<BlobInfo> = (0..10).map(|size| BlobInfo { size, ..BlobInfo::default() }).collect();
        let all: Vec<&BlobInfo> = blobs.iter().collect();
        let sizes = |chosen: Vec<&BlobInfo>| chosen.iter().map(|blob| blob.size).collect::<Vec<_>>();
        assert_eq!(sizes(spread(&all, 4)), [0, 2, 5, 7]);
        assert_eq!(sizes(spread(&all, 20)).len(), 10);
        assert!(sizes(spread(&[], 4)).is_empty());
        assert_eq!(sizes(median_by_size(&all)), [4]);
        assert!(median_by_size(&[]).is_empty());
    }
}
