//! The second run on a container that is copied already: list calls only.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::cloud::{Costs, Counters, Operation};

use super::cloud::Cloud;
use super::programs::Programs;
use super::table::seconds;
use super::workload::{Kind, segments};
use super::{note, ours, say};

const BLOB_BYTES: u64 = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(1800);
/// Blobs on a page of a listing.
const PAGE: u64 = 5000;

/// One run's figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    wall_seconds: f64,
    files: u64,
    copied_files: u64,
    copy_requests: u64,
    list_calls: u64,
    other_requests: u64,
}

/// Copies twice, each in a process of its own, and prints what was asked of the storage.
///
/// # Errors
/// When a copy fails.
pub(super) async fn measure(programs: &Programs, is_small: bool) -> Result<Vec<Run>> {
    let blobs = if is_small { 2_000 } else { 50_000 };
    let cloud = Cloud::start(Kind::Model, programs, &Costs::default()).await?;
    cloud.seed("source", &[segments("segment-", blobs, BLOB_BYTES)]).await?;
    let pair = cloud.fresh("source", "replica").await?;
    let mut runs = Vec::new();
    for time in ["first", "second"] {
        note(&format!("{blobs} blobs, {time} run"));
        cloud.reset_counters().await?;
        let run = ours::copy(&programs.worker, cloud.endpoint(), std::slice::from_ref(&pair), LIMIT).await?;
        let counters = cloud.model()?.counters().await?;
        cloud.check(&pair, None).await?;
        let (copy_requests, list_calls) = (copies(&counters), counters.of(Operation::ListBlobs));
        runs.push(Run {
            wall_seconds: run.metered.wall.as_secs_f64(),
            files: run.copied.iter().map(|copied| copied.files).sum(),
            copied_files: run.copied.iter().map(|copied| copied.copied_files).sum(),
            copy_requests,
            list_calls,
            other_requests: counters.requests() - copy_requests - list_calls,
        });
    }
    print(&runs, blobs);
    Ok(runs)
}

fn copies(counters: &Counters) -> u64 {
    counters.answers.keys().filter(|operation| operation.is_copy()).map(|operation| counters.of(*operation)).sum()
}

fn print(runs: &[Run], blobs: u64) {
    say(&format!("\n{blobs} blobs of 64 KiB copied twice, a process each; the model with its costs"));
    let heads = ["run", "wall s", "copied", "copy requests", "list calls", "others"];
    let [run, wall, copied, requests, lists, others] = heads;
    say(&format!("{run:>8} {wall:>9} {copied:>9} {requests:>14} {lists:>11} {others:>7}"));
    for (number, run) in runs.iter().enumerate() {
        let (wall, Run { copied_files, copy_requests, list_calls, other_requests, .. }) =
            (seconds(run.wall_seconds), run);
        let number = number + 1;
        say(&format!(
            "{number:>8} {wall:>9} {copied_files:>9} {copy_requests:>14} {list_calls:>11} {other_requests:>7}"
        ));
    }
    if let [first, second] = runs {
        let wanted = 2 * blobs.div_ceil(PAGE);
        let ratio = second.wall_seconds / first.wall_seconds;
        say(&format!("second to first: {ratio:.3} of the wall time (wanted: no copy request, {wanted} list calls)"));
    }
}
