//! Messages that end the worker: the broker sets them aside, not their neighbours; and what it set aside can be replayed.

use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions};
use lapin::{Connection, ConnectionProperties};
use testbed::emulator::{FaultAction, FaultRule};
use tokio::time::{Duration, sleep};

use super::scene::{HELD, LIMIT};
use crate::support::story::AGAIN;
use crate::support::{End, Ledger, Worker, World, ensure_each_replicated, run_once};

/// Good messages around the deadly one.
const GOOD: usize = 20;
/// How many of them come before it.
const BEFORE: usize = 7;
/// So often the broker delivers a message of the work queue again before it sets it aside.
const LIMIT_OF_DELIVERIES: usize = 20;
/// How often the emulator is asked whether the deadly message is at work.
const LOOK: Duration = Duration::from_millis(5);

/// From outside, a message that aborts the process is one at whose first call the process dies.
async fn die_again_and_again(world: &World, deadly: &str) -> Result<Infallible> {
    let uuid = deadly.rsplit(':').next().unwrap_or_default();
    let calls = || world.emulator.delayed().iter().filter(|request| request.path.contains(uuid)).count();
    let mut deaths = 0;
    loop {
        let seen = calls();
        let worker = Worker::spawn(&world.config())?;
        while calls() == seen {
            sleep(LOOK).await;
        }
        worker.kill().await?;
        deaths += 1;
        ensure!(deaths <= LIMIT_OF_DELIVERIES + 1, "the broker delivers it for ever");
    }
}

#[tokio::test]
async fn a_deadly_message_dies_alone() -> Result<()> {
    let world = World::start().await?;
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    let mut ledger = Ledger::open(&world).await?;
    let mut good = Vec::new();
    for _ in 0..BEFORE {
        good.push(world.encoded_asset("good").await?);
        ledger.send_finished(&world, &good[good.len() - 1].id).await?;
    }
    let deadly = world.encoded_asset("deadly").await?.id;
    let deadly_message = ledger.send_finished(&world, &deadly).await?;
    for _ in BEFORE..GOOD {
        good.push(world.encoded_asset("good").await?);
        ledger.send_finished(&world, &good[good.len() - 1].id).await?;
    }
    let uuid = deadly.rsplit(':').next().context("no id")?;
    world.emulator.fault(FaultRule::new(FaultAction::DelayMilliseconds(HELD)).path(uuid).times(1_000));

    tokio::select! {
        died = die_again_and_again(&world, &deadly) => match died? {},
        settled = ledger.settle(&world, 2 * LIMIT) => settled?,
    }
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    let ledger = ledger.close(&world).await?;
    assert_eq!(ledger.with_end(End::Dead), [deadly_message.as_str()], "and no neighbour");
    assert_eq!(ledger.keys_of(&deadly_message), ["dead.broker"]);
    assert_eq!(ledger.with_end(End::Done).len(), GOOD);
    ensure_each_replicated(&world, &good).await?;
    let listed = run_once(&world.config(), &["dead-letters", "list", "--json"]).await?;
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
    let letters = listed["letters"].as_array().context("no letters")?;
    let told: Vec<_> = letters.iter().map(|letter| (letter["id"].as_str(), letter["class"].as_str())).collect();
    assert_eq!(told, [(Some(deadly_message.as_str()), Some("broker"))]);
    Ok(())
}

/// The broker's marks of the first death must not travel to the retry queue: RabbitMQ 3.10 takes a message that is to
/// leave it with them for one that goes in circles, and drops it.
#[tokio::test]
async fn set_aside_by_the_broker_replayed_and_failing_again_it_is_not_lost() -> Result<()> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], "[http]\ntries = 1\n")?;
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    let mut ledger = Ledger::open(&world).await?;
    let asset = world.encoded_asset("movie").await?;
    let id = ledger.send_finished(&world, &asset.id).await?;

    let connection = Connection::connect(&world.vhost.amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let get = |queue: &'static str| channel.basic_get(queue.into(), BasicGetOptions::default());
    for _ in 0..=LIMIT_OF_DELIVERIES {
        let got = get("replication.work").await?.context("it is gone already")?;
        got.delivery.nack(BasicNackOptions { requeue: true, multiple: false }).await?;
    }
    let dead = loop {
        match get("replication.dead").await? {
            Some(dead) => break dead.delivery,
            None => sleep(LOOK).await,
        }
    };
    assert_eq!(dead.routing_key.as_str(), "dead.broker");
    // Replayed as it is, with whatever the broker wrote on it, as by an operator's simple tool.
    let marks = dead.properties.headers().as_ref().context("no headers")?;
    ensure!(marks.inner().keys().any(|name| name.as_str() == "x-death"), "no marks: {marks:?}");
    let properties = dead.properties.clone();
    let options = BasicPublishOptions::default();
    channel.basic_publish("replication.retry".into(), "now".into(), options, &dead.data, properties).await?.await?;
    dead.ack(BasicAckOptions::default()).await?;

    world.emulator.fault(FaultRule::status(503).of_account("eastmedia"));
    let worker = world.worker().await?;
    worker.logs(AGAIN).await?;
    ledger.settle(&world, LIMIT).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    assert_eq!(ledger.close(&world).await?.with_end(End::Done), [id.as_str()]);
    ensure_each_replicated(&world, &[asset]).await
}
