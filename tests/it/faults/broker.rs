//! The broker stops, dies, starves or is slow to come back, while jobs are under way and more work comes.

use std::time::Duration;

use anyhow::{Context, Result};
use testbed::amqp::Amqp;
use testbed::process::{RabbitMq, RabbitOptions, start_rabbitmq};

use super::scene::{BEGUN, ENDED, LIMIT, Scene};
use crate::support::{World, eventually};

/// Waits until the broker takes connections to the story's virtual host again, and lets the story send over a new one.
async fn meet_again(broker: &RabbitMq, scene: &mut Scene) -> Result<()> {
    let url = scene.world.vhost.amqp_url();
    let met = eventually("the broker", || async { Ok(Amqp::connect(&url).await.ok()) }).await;
    scene.world.amqp = met.with_context(|| broker.log().unwrap_or_else(|error| format!("no log: {error:#}")))?;
    Ok(())
}

/// A broker with the story's virtual host, and a worker that has three jobs.
async fn broker_and_scene(options: RabbitOptions, settings: &str) -> Result<(RabbitMq, Scene)> {
    let broker = RabbitMq::start(options).await?;
    let mut scene = Scene::begin_in(World::at_broker(&broker).await?, settings).await?;
    scene.send_and_hold().await?;
    Ok((broker, scene))
}

#[tokio::test]
async fn a_broker_that_is_stopped_and_one_that_is_killed() -> Result<()> {
    let (broker, mut scene) = broker_and_scene(RabbitOptions::default(), "").await?;
    broker.stop().await?;
    scene.logs_times(ENDED, 1).await?;
    broker.restart().await?;
    meet_again(&broker, &mut scene).await?;
    scene.logs_times(BEGUN, 2).await?;
    scene.send(2).await?;

    broker.sync_declarations().await?;
    broker.kill();
    scene.logs_times(ENDED, 2).await?;
    scene.release();
    broker.restart().await?;
    meet_again(&broker, &mut scene).await?;
    scene.logs_times(BEGUN, 3).await?;
    scene.send(2).await?;
    scene.finish().await
}

#[tokio::test]
async fn a_memory_alarm_while_events_are_published() -> Result<()> {
    // Longer than a call may take.
    memory_alarm(Duration::from_secs(7)).await
}

/// It blocks those who publish: events wait, nothing is given up, and all goes on when the alarm is over.
pub async fn memory_alarm(lasts: Duration) -> Result<()> {
    let broker = start_rabbitmq().await?;
    let mut scene = Scene::begin_in(World::at_broker(&broker).await?, "").await?;
    scene.send_and_hold().await?;
    broker.ctl(&["set_vm_memory_high_watermark", "absolute", "10MB"]).await?;
    scene.release();
    // The alarm shows to a connection when it publishes.
    scene.logs_times("broker blocks the connection", 1).await?;
    // Three jobs wait for the confirms of their events.
    let replicas = || async { Ok((scene.world.site("east").assets().len() == 3).then_some(())) };
    eventually("three replicas", replicas).await.with_context(|| scene.worker.log())?;
    tokio::time::sleep(lasts).await;
    assert!(!scene.worker.log().contains(ENDED), "{}", scene.worker.log());
    broker.ctl(&["set_vm_memory_high_watermark", "0.4"]).await?;
    scene.logs_times("broker unblocked the connection", 1).await?;
    scene.send(1).await?;
    scene.ledger.settle(&scene.world, LIMIT).await?;
    assert!(!scene.worker.log().contains(ENDED), "{}", scene.worker.log());
    scene.finish().await
}
