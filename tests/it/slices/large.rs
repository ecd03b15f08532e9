//! Assets of thousands of files: pages of both services, several slices, one event, and memory that does not grow with them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::amqp::Received;

use super::{SLICE_OVER, asset_of, copy_counts};
use crate::support::World;
use crate::support::story::{SITES, Story};

/// How long one such asset may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(700);
/// How often the worker's log is looked at for the end of a slice.
const LOOK: Duration = Duration::from_millis(100);
/// What full pages of both services may cost, 5000 blobs and 1000 files, in the arenas of all threads.
const PAGES_KIB: u64 = 48 * 1024;
/// What the worker may keep of each file: its name's hash and size, its MIME type's, and the correction of its description.
const FILE_BYTES: u64 = 256;
/// What two equal runs differ in.
const NOISE_KIB: u64 = 8 * 1024;

/// What a run came to.
struct Run {
    event: Value,
    files: u64,
    /// The most memory that the worker ever had at the end of each slice, the last one included (`VmHWM`, proc(5)).
    peaks_kib: Vec<u64>,
}

impl Run {
    fn peak_kib(&self) -> u64 {
        self.peaks_kib.last().copied().unwrap_or_default()
    }
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
    let (event, peaks_kib) = watch(&mut story).await.with_context(|| story.worker.log())?;
    let run = Run { event: event.json()?, files: u64::try_from(more + 6)?, peaks_kib };
    tell(&format!("{more} files: replicated in {:?}, peaks of the slices {:?} KiB", begun.elapsed(), run.peaks_kib));

    ensure!(run.event["data"]["content"]["files"] == run.files, "{:#}", run.event);
    ensure!(run.event["data"]["attempts"] == 1, "{}", story.worker.log());
    let (copied, skipped, _) = copy_counts(&run.event)?;
    ensure!((copied, skipped) == (run.files, 0), "copied {copied}, skipped {skipped} of {}", run.files);
    let replica = story.world.site("east").assets().pop().context("no replica")?;
    ensure!(story.world.site("east").files(&replica.id).len() == more + 6, "not all are registered");
    let blobs = story.world.storage("east")?.list(&replica.container).await?.context("no container")?;
    ensure!(blobs.len() == more + 6, "not all are copied");
    story.ensure_no_event().await?;
    Ok(run)
}

/// Waits for the event, and notes the worker's peak memory whenever a slice has ended.
async fn watch(story: &mut Story) -> Result<(Received, Vec<u64>)> {
    let Story { worker, events, .. } = story;
    let mut peaks_kib = Vec::new();
    let next = tokio::time::timeout(DEADLINE, events.next());
    tokio::pin!(next);
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            event = &mut next => {
                peaks_kib.push(worker.peak_memory_kib()?);
                return Ok((event.context("no event")??, peaks_kib));
            }
            _ = looks.tick() => {
                let slices = worker.log().lines().filter(|line| line.contains(SLICE_OVER)).count();
                if slices > peaks_kib.len() {
                    peaks_kib.push(worker.peak_memory_kib()?);
                }
            }
        }
    }
}

/// Two assets, the second one larger: memory grows by no more than `allowed_kib` and a few bytes for each file, and not from
/// slice to slice.
fn ensure_memory(few: &Run, many: &Run, allowed_kib: u64) -> Result<()> {
    let allowed = few.peak_kib() + allowed_kib + (many.files - few.files) * FILE_BYTES / 1024;
    ensure!(many.peak_kib() <= allowed, "{} KiB, not {allowed}: {:?}", many.peak_kib(), many.peaks_kib);
    // Pages get full while the replica does, and the last slice does more than the others.
    if let [.., before_last, _] = many.peaks_kib[..] {
        let half_way = many.peaks_kib[many.peaks_kib.len() / 2];
        ensure!(before_last <= half_way + half_way / 10, "it grows from slice to slice: {:?}", many.peaks_kib);
    }
    Ok(())
}

#[tokio::test]
async fn asset_of_3_000_files() -> Result<()> {
    let few = replicate(250, 90).await?;
    let many = replicate(2_994, 4).await?;
    ensure!(many.peaks_kib.len() >= 2, "one slice");
    ensure_memory(&few, &many, PAGES_KIB)
}

/// Part of the long suite: `deploy/test.sh --full`. With 7,000 files all pages are full once; more of them cost nothing.
#[tokio::test]
async fn asset_of_25_000_files() -> Result<()> {
    let few = replicate(6_994, 10).await?;
    let many = replicate(24_994, 10).await?;
    ensure!(many.peaks_kib.len() >= 2, "one slice");
    ensure_memory(&few, &many, NOISE_KIB)
}
