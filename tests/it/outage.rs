//! A dependency that is down: one probe at a time, the backlog keeps its attempts, others go on, and then full width again.

mod long;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::amqp::Subscription;
use testbed::proxy::{FaultProxy, Rule};

use crate::support::story::{AGAIN, Story};
use crate::support::{World, ensure_queues_empty, next_event, within};

/// What the log says when a brake is put on, and when it is released.
const BEGINS: &str = "outage: from now on one job at a time";
const ENDS: &str = "outage over: full width again";
const AFTER_THREE: &str =
    "[worker]\nbrake_after = 3\nlog_filter = 'info,stream_replicator::worker=debug,lapin=off'\n[http]\ntries = 1\n";

fn storage_of_east_is_down(proxy: &FaultProxy) {
    proxy.fault(Rule::answer(503, "ServerBusy").path("/east/"));
}

/// Waits for one event of each asset at each of these sites; gives the most attempts that one took.
async fn all_replicated(events: &mut Subscription, assets: &BTreeSet<String>, sites: &[&str]) -> Result<u64> {
    let mut wanted: BTreeSet<_> =
        assets.iter().flat_map(|asset| sites.iter().map(move |site| (asset.clone(), (*site).to_owned()))).collect();
    let mut most = 0;
    while !wanted.is_empty() {
        let event = next_event(events).await.with_context(|| format!("still without an event: {wanted:?}"))?;
        let data = &event["data"];
        ensure!(event["type"] == "media.asset.replicated.v1", "{event:#}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let done = (text(&data["asset"]["id"]), text(&data["sites"][1]["name"]));
        ensure!(wanted.remove(&done), "announced twice, or nobody asked: {done:?}");
        most = most.max(data["attempts"].as_u64().context("no attempts")?);
    }
    Ok(most)
}

async fn send_assets(world: &World, count: usize) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for number in 0..count {
        ids.insert(world.encoded_asset(&format!("movie {number}")).await?.id);
    }
    for id in &ids {
        world.send_finished(id).await?;
    }
    Ok(ids)
}

/// The most probes that ran at the same time, by the log: each begins with a line and, while all is down, ends with one.
fn most_probes(log: &str) -> usize {
    let outage = log.lines().skip_while(|line| !line.contains(BEGINS)).take_while(|line| !line.contains(ENDS));
    let (mut now, mut most) = (0_usize, 0);
    for line in outage {
        if line.contains("probing") {
            now += 1;
        } else if line.contains("put off") && line.contains("storage-busy") {
            now = now.saturating_sub(1);
        }
        most = most.max(now);
    }
    most
}

#[tokio::test]
async fn the_backlog_of_an_outage_keeps_its_attempts_and_is_done_after_it() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(AFTER_THREE).await?;
    storage_of_east_is_down(&proxy);
    let assets = send_assets(&story.world, 12).await?;
    story.worker.logs(BEGINS).await?;
    // Longer than one round: every message has been put off, and two probes have failed.
    let two_probes = async {
        while story.logged("probing") < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    within("two probes", two_probes).await.with_context(|| story.worker.log())?;
    ensure!(story.logged(ENDS) == 0, "{}", story.worker.log());
    let used_up = story.logged(AGAIN);
    ensure!(used_up <= 5, "{used_up} attempts: those before the brake, and what ran beside the third");
    ensure!(most_probes(&story.worker.log()) == 1, "{}", story.worker.log());

    proxy.clear_faults();
    let most = all_replicated(&mut story.events, &assets, &["east"]).await.with_context(|| story.worker.log())?;
    ensure!(most <= 3, "a message needed {most} attempts");
    ensure!((story.logged(BEGINS), story.logged(ENDS)) == (1, 1), "each is told once: {}", story.worker.log());
    ensure!(story.logged(AGAIN) == used_up, "an attempt was used up after the outage");
    assert_eq!(story.worker.terminate().await?, Some(0));
    ensure_queues_empty(&story.world).await
}

#[tokio::test]
async fn jobs_that_do_not_need_what_is_down_go_on() -> Result<()> {
    let world = World::with_sites(&["west", "east", "north"]).await?;
    world.write_config(&["west", "east", "north"], AFTER_THREE)?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.emulator.take_down("north");
    let first = send_assets(&world, 4).await?;
    all_replicated(&mut events, &first, &["east"]).await.with_context(|| worker.log())?;
    worker.logs(BEGINS).await?;
    let second = send_assets(&world, 4).await?;
    all_replicated(&mut events, &second, &["east"]).await.with_context(|| worker.log())?;
    ensure!(worker.log().contains("media service of site 'north'"), "{}", worker.log());
    ensure!(!worker.log().contains("of site 'east'") && !worker.log().contains(ENDS), "{}", worker.log());

    world.emulator.bring_up("north").await?;
    let all = &first | &second;
    let most = all_replicated(&mut events, &all, &["north"]).await.with_context(|| worker.log())?;
    ensure!(most <= 3, "a message needed {most} attempts");
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn one_message_that_fails_alone_is_no_outage() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(AFTER_THREE).await?;
    proxy.fault(Rule::answer(503, "ServerBusy").path("/east/").times(4));
    let asset = story.send_asset().await?;
    let event = story.event().await?;
    ensure!(event["data"]["attempts"] == 5, "{event:#}");
    ensure!(story.logged(BEGINS) == 0, "{}", story.worker.log());
    story.ensure_no_event().await?;
    ensure!(story.world.site("west").assets().iter().any(|one| one.id == asset.id));
    Ok(())
}

#[tokio::test]
async fn without_a_brake_every_message_uses_up_its_attempts() -> Result<()> {
    let settings = AFTER_THREE.replace("brake_after = 3", "brake_after = 0\nmax_attempts = 2");
    let (mut story, proxy) = Story::begin_behind_proxy(&settings).await?;
    storage_of_east_is_down(&proxy);
    for _ in 0..6 {
        story.world.send_finished(&story.world.encoded_asset("movie").await?.id).await?;
        story.dead_letter().await?;
    }
    ensure!(story.logged(BEGINS) == 0, "{}", story.worker.log());
    Ok(())
}
