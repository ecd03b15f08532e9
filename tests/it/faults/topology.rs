//! Queues and exchanges that vanish, refuse or lead nowhere: what cannot be settled is kept, and goes on when it can.

use anyhow::Result;
use lapin::options::ExchangeDeleteOptions;
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use testbed::emulator::FaultRule;

use super::scene::{BEGUN, ENDED, Scene};
use crate::support::rabbitmq::Operator;

async fn channel(scene: &Scene) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(&scene.world.vhost.amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// What was in the queue goes with it, by an operator's hand; what comes after it is made again is done.
#[tokio::test]
async fn a_work_queue_deleted_under_the_consumer() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    Operator::connect(&scene.world.vhost).await?.delete_queue("replication.work").await?;
    scene.logs_times(ENDED, 1).await?;
    scene.logs_times(BEGUN, 2).await?;
    scene.send(2).await?;
    scene.finish().await
}

/// An exchange that the events go to is deleted: the session ends, makes it again, and the event goes out after all.
#[tokio::test]
async fn a_deleted_exchange_is_made_again_and_nothing_is_lost() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    scene.send_and_hold().await?;
    let (_connection, channel) = channel(&scene).await?;
    channel.exchange_delete("media.replication".into(), ExchangeDeleteOptions::default()).await?;
    scene.release();
    scene.logs_times(ENDED, 1).await?;
    scene.logs_times(BEGUN, 2).await?;
    // The subscriber's binding went with it: what it missed is kept where all goes that nobody subscribed to.
    assert!(scene.world.vhost.queue_depth("tests.events").await? == Some(0), "announced into nothing");
    scene.finish().await
}

/// Without its alternate exchange an event that nobody subscribed to is refused: the delivery is kept until somebody does.
#[tokio::test]
async fn an_unroutable_event_keeps_its_delivery() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    let (_connection, channel) = channel(&scene).await?;
    let none = FieldTable::default;
    channel.queue_unbind("tests.events".into(), "media.replication".into(), "media.asset.#".into(), none()).await?;
    channel.queue_unbind("replication.unrouted".into(), "replication.unrouted".into(), "".into(), none()).await?;
    scene.send(2).await?;
    scene.logs_times("cannot publish; keeping the delivery and trying again", 2).await?;
    assert!(!scene.worker.log().contains(ENDED), "the session is as good as before");
    scene.world.amqp.bind_queue("tests.events", "media.replication", "media.asset.#").await?;
    scene.finish().await
}

/// A retry queue that is full, here with its first message, refuses what comes (`reject-publish`).
#[tokio::test]
async fn a_full_retry_queue_keeps_the_delivery() -> Result<()> {
    let mut scene = Scene::begin("[http]\ntries = 1\n").await?;
    scene.world.set_retry_delays(&[8])?;
    scene.worker = scene.world.worker().await?;
    let broker = scene.world.vhost.broker().clone();
    broker.set_policy(scene.world.vhost.name(), "full", "^replication\\.retry\\.", "max-length", 0).await?;
    scene.world.emulator.fault(FaultRule::status(503).of_account("eastmedia").times(3));
    scene.send(3).await?;
    scene.logs_times("cannot publish; keeping the delivery and trying again", 2).await?;
    assert!(!scene.worker.log().contains(ENDED), "the session is as good as before");
    broker.delete_policy(scene.world.vhost.name(), "full").await?;
    scene.finish().await
}
