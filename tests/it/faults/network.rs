//! A bad network between the worker and its broker: each fault hits a worker with jobs under way and more work coming.

use anyhow::Result;

use super::scene::{BEGUN, ENDED, Scene};
use crate::support::ensure_each_replicated;

#[tokio::test]
async fn connections_that_are_reset_again_and_again() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.send_and_hold().await?;
    for times in 1..=3 {
        scene.proxy.reset();
        scene.logs_times(ENDED, times).await?;
        scene.logs_times(BEGUN, times + 1).await?;
        scene.send(1).await?;
    }
    scene.release();
    scene.finish().await
}

#[tokio::test]
async fn connections_that_are_refused_while_it_comes_back() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.send_and_hold().await?;
    scene.proxy.refuse_next(5);
    scene.proxy.reset();
    scene.logs_times(BEGUN, 2).await?;
    assert!(scene.worker.log().contains("failed_tries=5"), "{}", scene.worker.log());
    assert_eq!(scene.worker.log().matches("broker cannot be used").count(), 1, "a line for each try");
    scene.release();
    scene.send(1).await?;
    scene.finish().await
}

/// No end of the connection is ever seen: to an idle worker only the missing heartbeats tell.
#[tokio::test]
async fn a_black_hole_of_two_heartbeats() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.proxy.black_hole();
    scene.logs_times(ENDED, 1).await?;
    scene.proxy.heal();
    scene.logs_times(BEGUN, 2).await?;

    scene.send_and_hold().await?;
    scene.proxy.black_hole();
    scene.logs_times(ENDED, 2).await?;
    scene.release();
    scene.send(1).await?;
    scene.proxy.heal();
    scene.logs_times(BEGUN, 3).await?;
    scene.finish().await
}

/// The broker has lost the connection and gives the messages to the next worker; the first one does not know, and works on.
#[tokio::test]
async fn a_half_open_connection_while_another_worker_gets_the_same_messages() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.send_and_hold().await?;
    scene.proxy.make_half_open();
    let other = scene.world.worker().await?;
    scene.release();
    scene.send(2).await?;
    scene.logs_times(ENDED, 1).await?;
    scene.ledger.settle(&scene.world, super::scene::LIMIT).await?;
    assert_eq!(other.terminate().await?, Some(0));
    ensure_each_replicated(&scene.world, &scene.assets).await?;
    scene.finish().await
}

/// Not even a heartbeat passes in time, nor does a greeting.
#[tokio::test]
async fn one_byte_a_second() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.send_and_hold().await?;
    scene.proxy.slow_down(1);
    scene.logs_times(ENDED, 1).await?;
    scene.release();
    scene.logs_times("broker cannot be used", 1).await?;
    scene.send(1).await?;
    scene.proxy.heal();
    scene.logs_times(BEGUN, 2).await?;
    scene.finish().await
}

#[tokio::test]
async fn sigterm_to_a_worker_that_has_lost_its_broker() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.send_and_hold().await?;
    scene.proxy.refuse_next(u32::MAX);
    scene.proxy.reset();
    scene.logs_times("broker cannot be used", 1).await?;
    scene.worker.signal_termination().await?;
    assert_eq!(scene.worker.exit_code().await?, Some(0), "its shutdown cut nothing short");
    scene.proxy.refuse_next(0);
    scene.worker = scene.world.worker().await?;
    scene.release();
    scene.finish().await
}

/// Slow, but alive: everything takes its time, and the session holds.
#[tokio::test]
async fn a_few_kilobytes_a_second() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.world.change_config("heartbeat_seconds = 1\n", "heartbeat_seconds = 10\n")?;
    scene.worker = scene.world.worker().await?;
    scene.proxy.slow_down(4_000);
    scene.send(4).await?;
    scene.ledger.settle(&scene.world, super::scene::LIMIT).await?;
    assert!(!scene.worker.log().contains(ENDED), "{}", scene.worker.log());
    scene.finish().await
}
