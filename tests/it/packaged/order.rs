//! In which order files appear at the replica, seen from outside, while the worker is killed again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::films::{Film, StaticWorld};
use crate::faults::seed;
use crate::support::{Worker, next_event};

const SEGMENTS: usize = 1000;
const KILLS: usize = 10;

/// Somebody who looks what is at the replica. All that a manifest names must be there before it.
struct Viewer<'a> {
    world: &'a StaticWorld,
    film: &'a Film,
    looks: usize,
    /// How many files there were at each look.
    seen: BTreeSet<usize>,
}

impl Viewer<'_> {
    async fn look(&mut self) -> Result<usize> {
        let there = self.world.listing("east").await?;
        let complete: BTreeSet<_> = there.iter().filter(|(_, size, ..)| *size > 0).map(|(name, ..)| name).collect();
        let has = |name: &str| complete.contains(&format!("{}{name}", self.film.folder));
        for rendition in ["high", "low"] {
            let segments = (0..SEGMENTS).filter(|n| has(&format!("{rendition}/{n:05}.m4s"))).count();
            if has(&format!("{rendition}/index.m3u8")) {
                ensure!(
                    segments == SEGMENTS,
                    "the playlist of '{rendition}' is there, {segments} of {SEGMENTS} segments are"
                );
            }
            if has("master.m3u8") {
                ensure!(
                    has(&format!("{rendition}/index.m3u8")),
                    "the master playlist is there, that of '{rendition}' is not"
                );
            }
        }
        self.looks += 1;
        self.seen.insert(complete.len());
        Ok(complete.len())
    }

    /// Looks until so many files are there, or more.
    async fn look_until(&mut self, files: usize, worker: &Worker) -> Result<()> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.look().await? < files {
            ensure!(tokio::time::Instant::now() < deadline, "waited in vain for {files} files: {}", worker.log());
        }
        Ok(())
    }
}

#[tokio::test]
async fn segments_then_playlists_then_masters_whenever_the_worker_is_killed() -> Result<()> {
    let world = StaticWorld::start().await?;
    world.write_config("[copy]\nmax_requests = 4\n", world.azurite())?;
    let film = Film::new("films/long/").with_hls(&["high", "low"], SEGMENTS);
    world.upload("west", &film).await?;
    let mut random = StdRng::seed_from_u64(seed());
    let all = film.files().len();
    // the last ones among the manifests, which are copied in a moment
    let mut kills: Vec<usize> = (1..KILLS).map(|_| random.random_range(1..all - 3)).collect();
    kills.push(all - random.random_range(1..3));
    kills.sort_unstable();
    let mut viewer = Viewer { world: &world, film: &film, looks: 0, seen: BTreeSet::new() };
    let mut worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished("west", &film).await?;
    for files in kills {
        viewer.look_until(files, &worker).await?;
        worker.kill().await?;
        viewer.look().await?;
        worker = world.worker().await?;
    }
    viewer.look_until(all, &worker).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["content"]["files"], all);
    assert_eq!(world.listing("west").await?, world.listing("east").await?);
    ensure!(viewer.seen.len() > KILLS, "the replica was seen in {} states only", viewer.seen.len());
    Ok(())
}
