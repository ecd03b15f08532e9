//! Many assets, several workers, and a hand that kills one of them at random moments, again and again.
#![expect(clippy::print_stdout, reason = "the seed is for whoever wants to see a run again")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testbed::amqp::Subscription;
use testbed::emulator::{DoorKind, Set};
use tokio_util::sync::CancellationToken;

use super::scene::{none_left, world_without_keys};
use crate::support::{Published, Worker, World, ensure_each_replicated, ensure_queues_empty, eventually, within};

/// Where a seed is given to see a run again; the moments of the machine itself do not come again.
const SEED: &str = "NO_KEY_SEED";
const WORKERS: usize = 3;
/// Jobs at once in each.
const CONCURRENCY: usize = 4;
/// The most locators of one asset, all types together (contract ams-v2, section 4.3).
const MOST: usize = 5;
/// Calls of the media services between two kills; a hundred assets need some four thousand, however fast the machine is.
const CALLS: std::ops::Range<usize> = 20..200;
/// How often they are counted.
const LOOK: Duration = Duration::from_millis(25);

pub async fn replicate_under_fire(count: usize, kills: usize) -> Result<()> {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("seed {seed}: set {SEED} to have it again");
    let world = world_without_keys(&format!("[worker]\ngrace_seconds = 0\nconcurrency = {CONCURRENCY}\n")).await?;
    let making = futures::stream::iter(0..count).map(|_| world.encoded_asset("movie")).buffer_unordered(8);
    let assets: Vec<Published> = making.try_collect().await?;
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    let mut events = world.events().await?;
    for asset in &assets {
        world.send_finished(&asset.id).await?;
    }

    let done = CancellationToken::new();
    let fire = Fire { world: &world, random: StdRng::seed_from_u64(seed), done: done.clone() };
    let all = async {
        let ids = all_events(&mut events, &assets).await;
        done.cancel();
        ids
    };
    let (ids, fired, most) = tokio::join!(all, fire.kill_again_and_again(), most_locators(&world, &done));
    let (ids, (workers, killed)) = (ids?, fired?);
    println!("{killed} kills, {most} locators of one asset at most");
    ensure!(killed >= kills, "only {killed} kills: not enough to tell anything");
    ensure!(most <= MOST, "{most} locators of one asset");
    ensure!(ids.values().all(|ids| ids.len() == 1), "several events for one asset: {ids:#?}");

    // What was announced and not acknowledged is done once more.
    eventually("empty queues", || async { Ok(ensure_queues_empty(&world).await.ok()) }).await?;
    for worker in workers {
        worker.terminate().await?;
    }
    // One that was still at it at its end has handed its message back.
    let last = world.worker().await?;
    eventually("empty queues", || async { Ok(ensure_queues_empty(&world).await.ok()) }).await?;
    none_left(&world).await.with_context(|| last.log())?;
    ensure_all_replicated(&world, &assets).await
}

/// Reads events until every asset has one; gives the ids of each asset's.
async fn all_events(events: &mut Subscription, assets: &[Published]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while ids.len() < assets.len() {
        let event = within("an event", events.next()).await.with_context(|| format!("after {}", ids.len()))?.json()?;
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("no text");
        ids.entry(text(&event["data"]["asset"]["id"])?).or_default().insert(text(&event["id"])?);
    }
    Ok(ids)
}

/// The hand that kills.
struct Fire<'a> {
    world: &'a World,
    random: StdRng,
    done: CancellationToken,
}

impl Fire<'_> {
    /// Of the media services: what is played is not counted.
    fn calls(&self) -> usize {
        let requests = self.world.emulator.requests();
        requests.iter().count() - requests.at(DoorKind::Streaming).count()
    }

    /// Gives the workers that are alive at the end, and how many are not.
    async fn kill_again_and_again(mut self) -> Result<(Vec<Worker>, usize)> {
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(self.world.worker().await?);
        }
        let mut killed = 0;
        loop {
            let next = self.calls() + self.random.random_range(CALLS);
            while self.calls() < next {
                if tokio::time::timeout(LOOK, self.done.cancelled()).await.is_ok() {
                    return Ok((workers, killed));
                }
            }
            let worker = workers.swap_remove(self.random.random_range(0..workers.len()));
            if self.random.random_ratio(1, 4) {
                worker.terminate().await?;
            } else {
                worker.kill().await?;
            }
            killed += 1;
            workers.push(self.world.worker().await?);
        }
    }
}

/// Looks all the time how many locators an asset has, at either site; gives the most.
async fn most_locators(world: &World, done: &CancellationToken) -> usize {
    let mut most = 0;
    while tokio::time::timeout(LOOK, done.cancelled()).await.is_err() {
        for site in ["west", "east"] {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for locator in world.site(site).entities(Set::Locators) {
                *counts.entry(locator.text("AssetId").unwrap_or_default().to_owned()).or_default() += 1;
            }
            most = counts.into_values().max().unwrap_or_default().max(most);
        }
    }
    most
}

/// Every asset has one replica with the same blobs, published under the same locator; nothing else is left anywhere.
async fn ensure_all_replicated(world: &World, assets: &[Published]) -> Result<()> {
    for site in ["west", "east"] {
        // Workers that begin at the same moment may make the same one; never is there one for each asset.
        let policies = world.site(site).access_policies();
        let ours = policies.iter().filter(|policy| policy.name.starts_with("stream-replicator ")).count();
        ensure!(ours <= 2 * WORKERS * CONCURRENCY, "{ours} access policies at {site}");
    }
    ensure_each_replicated(world, assets).await?;
    ensure_queues_empty(world).await
}
