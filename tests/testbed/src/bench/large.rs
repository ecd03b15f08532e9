//! A hundred thousand and a million blobs: what memory we need for them. Each process has copied a smaller set before, as a
//! worker has, and so has found out how many requests at once are borne: their connections are most of its memory.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cloud::Costs;

use super::cloud::Cloud;
use super::programs::Programs;
use super::table::seconds;
use super::workload::{Kind, segments};
use super::{note, ours, say};

const BLOB_BYTES: u64 = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(3600);
/// Wanted: the peak of the larger set, in MiB, and how much more it may be than the smaller set's.
const WANTED_MIB: f64 = 64.0;
const WANTED_GROWTH: f64 = 0.10;

/// One set's figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Large {
    blobs: u64,
    wall_seconds: f64,
    peak_rss_mib: f64,
}

/// Copies both sets, each in a process of its own, and prints the figures.
///
/// # Errors
/// When a copy fails.
pub(super) async fn measure(programs: &Programs, is_small: bool) -> Result<Vec<Large>> {
    let sizes = if is_small { [2_000, 20_000] } else { [100_000, 1_000_000] };
    let mut sets = Vec::new();
    for blobs in sizes {
        // beside the round trip requests cost nothing but the work of both processes
        let costs = Costs { round_trip_milliseconds: Costs::default().round_trip_milliseconds, ..Costs::none() };
        let cloud = Cloud::start(Kind::Model, programs, &costs).await?;
        cloud.seed("earlier", &[segments("segment-", sizes[0], BLOB_BYTES)]).await?;
        cloud.seed("source", &[segments("segment-", blobs, BLOB_BYTES)]).await?;
        let pairs = [cloud.fresh("earlier", "earlier-replica").await?, cloud.fresh("source", "replica").await?];
        note(&format!("{blobs} blobs, after {} others: copying", sizes[0]));
        let run = ours::copy(&programs.worker, cloud.endpoint(), &pairs, LIMIT).await?;
        for pair in &pairs {
            cloud.check(pair, None).await?;
        }
        let wall_seconds = run.copied.last().context("nothing was copied")?.seconds;
        sets.push(Large { blobs, wall_seconds, peak_rss_mib: run.metered.peak_rss_mib });
    }
    print(&sets);
    Ok(sets)
}

fn print(sets: &[Large]) {
    say("\nmany blobs of 64 KiB, requests cost a round trip; ours, a process each that has copied others before");
    say(&format!("{:>10} {:>9} {:>9} {:>9}", "blobs", "wall s", "blobs/s", "RSS MiB"));
    for set in sets {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rate = set.blobs as f64 / set.wall_seconds;
        let wall = seconds(set.wall_seconds);
        say(&format!("{:>10} {wall:>9} {rate:>9.0} {:>9.1}", set.blobs, set.peak_rss_mib));
    }
    if let [few, many] = sets {
        let growth = many.peak_rss_mib / few.peak_rss_mib - 1.0;
        say(&format!(
            "peak of the larger: {:.1} MiB (wanted: under {WANTED_MIB:.0}), {:+.1} % of the smaller's (wanted: within {:.0} %)",
            many.peak_rss_mib,
            100.0 * growth,
            100.0 * WANTED_GROWTH
        ));
    }
}
