//! Signals and lost connections: the worker drains, gives back what it does not finish, and finds its broker again.

use anyhow::{Context, Result, ensure};
use testbed::amqp::{Outgoing, Subscription};
use testbed::emulator::{FaultAction, FaultRule};

use crate::support::{
    Worker, World, ensure_one_replica, ensure_queues_empty, eventually, next_event, within, workers_are_gone,
};

/// Longer than any test, in milliseconds: what is held is let go by the test.
const HELD: u64 = 600_000;
const WORK: &str = "replication.work";

#[tokio::test]
async fn an_idle_worker_stops_at_sigterm() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_worker_without_its_broker_stops_at_sigterm() -> Result<()> {
    let world = World::start().await?;
    let config = std::fs::read_to_string(world.config())?;
    let port = world.vhost.broker().amqp_port();
    // Nobody listens on port 1.
    std::fs::write(world.config(), config.replace(&format!(":{port}/"), ":1/"))?;
    let worker = Worker::spawn(&world.config())?;
    worker.logs("broker cannot be used").await?;
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_running_job_ends_well_after_sigterm() -> Result<()> {
    let (world, mut events, asset_id) = world_with_asset("").await?;
    let mut worker = worker_with_a_held_job(&world, &[&asset_id]).await?;
    worker.signal_termination().await?;
    worker.logs("draining").await?;
    world.emulator.release_delayed();
    assert_eq!(worker.exit_code().await?, Some(0));
    assert_eq!(next_event(&mut events).await?["subject"], asset_id.as_str());
    ensure_one_replica(&world, &asset_id).await?;
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn a_job_that_outlasts_the_grace_goes_to_the_next_worker() -> Result<()> {
    let (world, mut events, asset_id) = world_with_asset("[worker]\ngrace_seconds = 1\n").await?;
    let worker = worker_with_a_held_job(&world, &[&asset_id]).await?;
    assert_eq!(worker.terminate().await?, Some(3));
    workers_are_gone(&world).await?;
    assert_eq!(world.vhost.queue_depth(WORK).await?, Some(1), "its message is back");
    finish_with_the_next_worker(&world, &mut events, &[&asset_id]).await
}

#[tokio::test]
async fn a_second_sigterm_stops_at_once() -> Result<()> {
    // The grace is longer than a test may wait, so only the second signal can end it.
    let (world, mut events, asset_id) = world_with_asset("[worker]\ngrace_seconds = 3600\n").await?;
    let mut worker = worker_with_a_held_job(&world, &[&asset_id]).await?;
    worker.signal_termination().await?;
    worker.logs("draining").await?;
    worker.signal_termination().await?;
    assert_eq!(worker.exit_code().await?, Some(3));
    workers_are_gone(&world).await?;
    assert_eq!(world.vhost.queue_depth(WORK).await?, Some(1), "its message is back");
    finish_with_the_next_worker(&world, &mut events, &[&asset_id]).await
}

#[tokio::test]
async fn messages_that_were_not_started_stay_in_the_queue() -> Result<()> {
    let (world, mut events, first) = world_with_asset("[worker]\nconcurrency = 1\n").await?;
    let (second, third) = (world.encoded_asset("second").await?.id, world.encoded_asset("third").await?.id);
    let mut worker = worker_with_a_held_job(&world, &[&first, &second, &third]).await?;
    worker.signal_termination().await?;
    worker.logs("draining").await?;
    world.emulator.release_delayed();
    assert_eq!(worker.exit_code().await?, Some(0));
    assert_eq!(next_event(&mut events).await?["subject"], first.as_str());
    workers_are_gone(&world).await?;
    assert_eq!(world.vhost.queue_depth(WORK).await?, Some(2));
    finish_with_the_next_worker(&world, &mut events, &[&second, &third]).await
}

#[tokio::test]
async fn an_idle_worker_finds_its_broker_again() -> Result<()> {
    let (world, mut events, asset_id) = world_with_asset("").await?;
    let worker = world.worker().await?;
    close_connections(&world, "stream-replicator").await?;
    consumes_again(&worker).await?;
    world.send_finished(&asset_id).await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_one_replica(&world, &asset_id).await?;
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn a_job_whose_consuming_connection_is_closed_is_done_once() -> Result<()> {
    a_job_is_done_once_without("stream-replicator consume").await
}

#[tokio::test]
async fn a_job_whose_publishing_connection_is_closed_is_done_once() -> Result<()> {
    a_job_is_done_once_without("stream-replicator publish").await
}

/// The connection ends when the replica asset is made and the worker does not know it yet.
async fn a_job_is_done_once_without(connection: &str) -> Result<()> {
    let (world, mut events, asset_id) = world_with_asset("").await?;
    let worker = worker_with_a_held_job(&world, &[&asset_id]).await?;
    close_connections(&world, connection).await?;
    consumes_again(&worker).await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    assert_eq!(events_until_now(&world, &mut events).await?, 0, "one event, not two");
    ensure_one_replica(&world, &asset_id).await?;
    ensure_queues_empty(&world).await
}

/// A world whose exchanges are there, somebody who listens, and a published asset.
async fn world_with_asset(settings: &str) -> Result<(World, Subscription, String)> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], settings)?;
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    let events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    Ok((world, events, asset.id))
}

/// A worker that has these messages, and whose first job waits for the answer to the creation of its replica asset.
async fn worker_with_a_held_job(world: &World, asset_ids: &[&str]) -> Result<Worker> {
    let held = FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on("POST", "Assets").after_commit();
    world.emulator.fault(held);
    let worker = world.worker().await?;
    for asset_id in asset_ids {
        world.send_finished(asset_id).await?;
    }
    let is_held = || async { Ok((world.emulator.delayed().iter().count() == 1).then_some(())) };
    eventually("the held call", is_held).await.with_context(|| worker.log())?;
    Ok(worker)
}

async fn finish_with_the_next_worker(world: &World, events: &mut Subscription, asset_ids: &[&str]) -> Result<()> {
    let worker = world.worker().await?;
    for asset_id in asset_ids {
        let event = next_event(events).await.with_context(|| worker.log())?;
        ensure!(event["data"]["attempts"] == 1, "a shutdown used up an attempt: {event:#}");
        ensure!(asset_ids.len() > 1 || event["subject"] == *asset_id, "another asset: {event:#}");
    }
    assert_eq!(worker.terminate().await?, Some(0));
    assert_eq!(events_until_now(world, events).await?, 0, "one event for each");
    if let [asset_id] = asset_ids {
        ensure_one_replica(world, asset_id).await?;
    }
    ensure_queues_empty(world).await
}

/// Closes the worker's connections as an operator would.
async fn close_connections(world: &World, name: &str) -> Result<()> {
    let broker = world.vhost.broker();
    let wanted = if name.contains(' ') { 1 } else { 2 };
    let mut closed = 0;
    while closed < wanted {
        let look = || async { Ok(Some(broker.close_connections(world.vhost.name(), name).await?).filter(|n| *n > 0)) };
        closed += eventually("the worker's connections", look).await?;
    }
    Ok(())
}

async fn consumes_again(worker: &Worker) -> Result<()> {
    let twice = || async { Ok((worker.log().matches("consuming").count() == 2).then_some(())) };
    eventually("the second session", twice).await.with_context(|| worker.log())
}

/// How many events were published before now.
async fn events_until_now(world: &World, events: &mut Subscription) -> Result<usize> {
    let marker = Outgoing { message_id: Some("marker".to_owned()), ..Outgoing::default() };
    world.amqp.publish("media.replication", "marker", marker).await?;
    let mut count = 0;
    while within("the marker", events.next()).await?.message_id.as_deref() != Some("marker") {
        count += 1;
    }
    Ok(count)
}
