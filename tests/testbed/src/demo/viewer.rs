//! Somebody who believes nothing: fetches what an event announces from both sites, and compares.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

/// One request, the whole file included.
const LIMIT: Duration = Duration::from_secs(30);

/// A player at some place from where both sites can be reached.
pub(super) struct Viewer {
    http: reqwest::Client,
    has_ffprobe: bool,
}

/// One file as both sites deliver it.
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) bytes: usize,
    /// SHA-256 in hexadecimal, equal at both sites.
    pub(super) sha256: String,
    /// What ffprobe finds in it, equal at both sites; where ffprobe is installed.
    pub(super) streams: Option<String>,
}

impl Viewer {
    pub(super) async fn new() -> Result<Self> {
        let http =
            crate::storage::http_client_builder().timeout(LIMIT).build().context("cannot set up an HTTP client")?;
        let has_ffprobe = Command::new("ffprobe").arg("-version").output().await.is_ok();
        Ok(Self { http, has_ffprobe })
    }

    /// Fetches every URL of an event from both sites; gives protocol, both statuses and the common path.
    pub(super) async fn open_all(&self, event: &Value) -> Result<Vec<[String; 4]>> {
        let urls = event["data"]["urls"].as_array().context("the event has no urls")?;
        ensure!(!urls.is_empty(), "the event has no urls");
        let mut opened = Vec::new();
        for url in urls {
            let [protocol, path, source, replica] =
                ["protocol", "path", "source", "replica"].map(|name| url[name].as_str().unwrap_or_default().to_owned());
            let mut statuses = Vec::new();
            for url in [&source, &replica] {
                let answer = self.http.get(url).send().await.with_context(|| format!("{url} does not answer"))?;
                let status = answer.status();
                ensure!(status.as_u16() == 200, "{url} answers {status}");
                ensure!(!answer.bytes().await?.is_empty(), "{url} answers with nothing");
                statuses.push(status.as_u16().to_string());
            }
            opened.push([protocol, statuses[0].clone(), statuses[1].clone(), path]);
        }
        Ok(opened)
    }

    /// Downloads one file whole from both sites of an event.
    pub(super) async fn compare(&self, event: &Value, name: &str) -> Result<Compared> {
        let sites = event["data"]["sites"].as_array().context("the event has no sites")?;
        let mut found = Vec::new();
        for site in sites {
            let url = progressive_url(event, site, name)?;
            let answer = self.http.get(&url).send().await?.error_for_status()?;
            let bytes = answer.bytes().await.with_context(|| format!("{url} breaks off"))?;
            let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let streams = if self.has_ffprobe { Some(probe(&url).await?) } else { None };
            found.push(Compared { name: name.to_owned(), bytes: bytes.len(), sha256, streams });
        }
        let replica = found.pop().context("the event has no sites")?;
        let source = found.pop().context("the event has one site only")?;
        ensure!(source.sha256 == replica.sha256, "{name} differs: {} bytes and {}", source.bytes, replica.bytes);
        ensure!(source.streams == replica.streams, "ffprobe finds different streams in {name}");
        Ok(replica)
    }
}

/// A file of an asset can be fetched as a whole: `<locator path><file>` (contract ams-v2 section 6).
fn progressive_url(event: &Value, site: &Value, name: &str) -> Result<String> {
    let member = |name: &str| site[name].as_str().with_context(|| format!("a site of the event has no {name}"));
    let port = site["port"].as_u64().context("a site of the event has no port")?;
    let prefix = event["data"]["pathPrefix"].as_str().context("the event has no pathPrefix")?;
    Ok(format!("{}://{}:{port}{}{prefix}{name}", member("scheme")?, member("host")?, member("basePath")?))
}

/// Codecs and picture size, as ffprobe reads them from the URL.
async fn probe(url: &str) -> Result<String> {
    let arguments = ["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", url];
    let mut command = Command::new("ffprobe");
    // the machine's proxy has no business between two processes of one machine
    command.args(arguments).env_remove("http_proxy").kill_on_drop(true);
    let output = command.output().await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ffprobe cannot read {url}: {}", complaint.trim());
    let streams = String::from_utf8_lossy(&output.stdout);
    let streams = streams.lines().map(|line| match line.split(',').collect::<Vec<_>>()[..] {
        [codec, width, height] => format!("{codec} {width}x{height}"),
        _ => line.to_owned(),
    });
    Ok(streams.collect::<Vec<_>>().join(" + "))
}
