//! One worker at an asset: a second one waits, a dead one's lease is taken over, a lost one ends the job, none is left.

use std::collections::BTreeMap;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::amqp::Subscription;
use testbed::emulator::{FaultAction, FaultRule};
use testbed::storage::PutOptions;
use time::OffsetDateTime;

use crate::no_key::world_without_keys;
use crate::support::{Published, Worker, World, ensure_one_replica, ensure_queues_empty, eventually, next_event};

/// Where the markers are.
const STATE: &str = "stream-replicator-state";
/// Longer than any test, in milliseconds.
const HELD: u64 = 600_000;

#[tokio::test]
async fn a_second_worker_waits_without_using_up_an_attempt() -> Result<()> {
    let (world, first, mut events, asset) = job_with_a_lease("").await?;

    let second = world.worker().await?;
    world.send_finished(&asset.id).await?;
    // Either may get the second message: the first one has room for it too.
    let waits = || [&first, &second].iter().any(|worker| worker.log().contains("asset-in-work"));
    eventually("a worker that waits", || async { Ok(waits().then_some(())) }).await?;
    world.emulator.clear_faults();
    world.emulator.release_delayed();

    let (one, other) = (next_event(&mut events).await?, next_event(&mut events).await?);
    assert_eq!(one["id"], other["id"]);
    assert_eq!((&one["data"]["attempts"], &other["data"]["attempts"]), (&1.into(), &1.into()));
    ensure_one_replica(&world, &asset.id).await?;
    assert!(!first.log().contains("made twice") && !second.log().contains("made twice"));
    for worker in [first, second] {
        assert_eq!(worker.terminate().await?, Some(0));
    }
    assert_eq!(markers(&world, &asset.id).await?, 0, "a marker is left");
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn a_killed_workers_lease_does_not_keep_the_next_one_waiting() -> Result<()> {
    let (world, worker, mut events, asset) = job_with_a_lease("").await?;
    worker.kill().await?;
    world.emulator.clear_faults();
    assert_eq!(markers(&world, &asset.id).await?, 1, "the dead worker's marker");

    let next = world.worker().await?;
    next_event(&mut events).await.with_context(|| next.log())?;
    assert!(next.log().contains("its lease is taken over"), "{}", next.log());
    assert!(!next.log().contains("asset-in-work"), "it waited: {}", next.log());
    assert_eq!(next.terminate().await?, Some(0));
    assert_eq!(markers(&world, &asset.id).await?, 0, "a marker is left");
    Ok(())
}

#[tokio::test]
async fn what_goes_back_at_a_shutdown_is_free_for_the_next_worker() -> Result<()> {
    let (world, worker, mut events, asset) = job_with_a_lease("[worker]\ngrace_seconds = 0\n").await?;
    assert_eq!(worker.terminate().await?, Some(3));
    assert_eq!(markers(&world, &asset.id).await?, 0, "the lease was not given back");
    world.emulator.clear_faults();

    let next = world.worker().await?;
    next_event(&mut events).await.with_context(|| next.log())?;
    assert!(!next.log().contains("taken over") && !next.log().contains("asset-in-work"), "{}", next.log());
    Ok(())
}

/// The holder runs on another machine, so nobody can tell whether it lives: only the lease's end frees the asset.
#[tokio::test]
async fn a_lease_held_elsewhere_is_waited_for() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    let storage = world.storage("east")?;
    let marker = format!("east/west/{}", asset.id);
    let elsewhere = PutOptions {
        metadata: BTreeMap::from([("holder".to_owned(), "another-machine/1/1/1".to_owned())]),
        ..PutOptions::default()
    };
    storage.create_container(STATE).await?;
    storage.put(STATE, &marker, "", elsewhere).await?;
    let lease = storage.acquire_lease(STATE, &marker).await?;

    world.send_finished(&asset.id).await?;
    worker.logs("asset-in-work").await?;
    assert!(world.site("east").assets().is_empty(), "it did not wait");
    storage.release_lease(STATE, &marker, &lease).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 1);
    ensure_one_replica(&world, &asset.id).await?;
    Ok(())
}

/// Somebody takes the lease away while the job runs: it stops, and goes on when it has the lease again.
#[tokio::test]
async fn a_lost_lease_stops_the_job() -> Result<()> {
    let (world, worker, mut events, asset) = job_with_a_lease("").await?;
    world.storage("east")?.break_lease(STATE, &format!("east/west/{}", asset.id)).await?;
    worker.logs("lease-lost").await?;
    world.emulator.clear_faults();
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 1);
    ensure_one_replica(&world, &asset.id).await?;
    Ok(())
}

#[tokio::test]
async fn two_workers_given_the_same_asset_at_once_make_one_replica_fifty_times() -> Result<()> {
    let logs = two_workers_at_once(World::start().await?).await?;
    ensure!(logs.contains("asset-in-work"), "no worker ever met the other, so this proves nothing");
    Ok(())
}

/// Without a key there is no lease: the mark of the replica asset decides alone.
#[tokio::test]
async fn without_a_lease_two_workers_make_one_replica_fifty_times_too() -> Result<()> {
    let logs = two_workers_at_once(world_without_keys("").await?).await?;
    ensure!(!logs.contains("asset-in-work"), "there was a lease");
    Ok(())
}

/// Sends each of fifty assets to two workers at the same time; gives what both have logged.
async fn two_workers_at_once(world: World) -> Result<String> {
    const TIMES: usize = 50;
    let workers = [world.worker().await?, world.worker().await?];
    let mut events = world.events().await?;
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..TIMES {
        let asset = world.encoded_asset(&format!("movie {number}")).await?;
        for _ in &workers {
            world.send_finished(&asset.id).await?;
        }
        ids.insert(asset.id, Vec::new());
    }
    for _ in 0..TIMES * workers.len() {
        let event = next_event(&mut events).await?;
        let asset_id = event["data"]["asset"]["id"].as_str().context("no asset id")?;
        ids.get_mut(asset_id).context("an unknown asset")?.push(event["id"].to_string());
    }
    for (asset_id, events) in &ids {
        ensure!(events.len() == 2 && events[0] == events[1], "{asset_id}: {events:?}");
        let mark = format!("stream-replicator/1 west {asset_id}");
        let is_its = |id: &Option<String>| id.as_deref().is_some_and(|id| id.trim_end() == mark);
        let replicas: Vec<_> =
            world.site("east").assets().into_iter().filter(|asset| is_its(&asset.alternate_id)).collect();
        ensure!(replicas.len() == 1, "{asset_id} has the replicas {replicas:?}");
        ensure!(markers(&world, asset_id).await? == 0, "{asset_id} has a marker yet");
    }
    let logs = workers.iter().map(|worker| worker.log()).collect();
    for worker in workers {
        assert_eq!(worker.terminate().await?, Some(0));
    }
    ensure_queues_empty(&world).await?;
    Ok(logs)
}

/// What is left of a race that no lease prevented: two replicas, the younger one published.
#[tokio::test]
async fn of_two_replicas_the_published_one_stays() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let first = next_event(&mut events).await.with_context(|| worker.log())?;
    let published = ensure_one_replica(&world, &asset.id).await?;

    let east = world.site("east");
    let mark = east.assets().into_iter().find_map(|asset| asset.alternate_id).context("no mark")?;
    let older = east.create_asset("movie", 0).await?;
    let created = OffsetDateTime::now_utc() - Duration::from_secs(3600);
    east.set_asset(&older, |row| {
        row.set("AlternateId", mark).set("Created", created);
    })?;
    world.send_finished(&asset.id).await?;
    let second = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(second["id"], first["id"]);
    assert_eq!(second["data"]["attempts"], 2, "it met the published one, and came again");
    assert_eq!(ensure_one_replica(&world, &asset.id).await?, published);
    ensure_queues_empty(&world).await
}

/// A job that is stopped when it makes the replica asset, with the lease in its hands.
async fn job_with_a_lease(settings: &str) -> Result<(World, Worker, Subscription, Published)> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], settings)?;
    let worker = world.worker().await?;
    let events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    let rule = FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on("POST", "Assets").of_account("eastmedia");
    world.emulator.fault(rule);
    world.send_finished(&asset.id).await?;
    let is_held = || async { Ok((world.emulator.delayed().iter().count() > 0).then_some(())) };
    eventually("the held call", is_held).await?;
    Ok((world, worker, events, asset))
}

/// How many markers of this asset there are.
async fn markers(world: &World, asset_id: &str) -> Result<usize> {
    let blobs = world.storage("east")?.list(STATE).await?.unwrap_or_default();
    Ok(blobs.iter().filter(|blob| blob.name.ends_with(asset_id)).count())
}
