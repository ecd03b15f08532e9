//! `topology migrate`: a queue with other properties is made anew, and no message of it is lost, whenever it is killed.

use std::cell::Cell;
use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use testbed::amqp::{Amqp, Outgoing};

use super::{Scene, declare_exchange, declare_queue, in_state};
use crate::support::{Worker, eventually, within};

const WORK: &str = "replication.work";
const HOLDING: &str = "replication.work.moving";

/// A work queue of another kind, bound as ours would be.
async fn other_work_queue(channel: &Channel) -> Result<()> {
    declare_exchange(channel, "media.events", ExchangeKind::Topic).await?;
    declare_queue(channel, WORK, FieldTable::default()).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let key = "media.encoding.finished.#";
    Ok(channel.queue_bind(WORK.into(), "media.events".into(), key.into(), options, none).await?)
}

async fn send(amqp: &Amqp, number: usize) -> Result<()> {
    let body = number.to_string();
    let message = Outgoing { message_id: Some(body.clone()), body: body.into(), ..Outgoing::default() };
    amqp.publish("media.events", &format!("media.encoding.finished.{}", number % 7), message).await
}

/// The bodies of everything in the work queue, in its order.
async fn drained(amqp: &Amqp) -> Result<Vec<usize>> {
    let mut bodies = Vec::new();
    while let Some(message) = amqp.take(WORK).await? {
        bodies.push(std::str::from_utf8(&message.body)?.parse()?);
    }
    Ok(bodies)
}

#[tokio::test]
async fn a_queue_is_made_anew_with_its_messages_as_they_were() -> Result<()> {
    let scene = Scene::begin().await?;
    let channel = scene.channel().await?;
    other_work_queue(&channel).await?;
    let amqp = Amqp::connect(&scene.vhost.amqp_url()).await?;
    for number in 0..40 {
        send(&amqp, number).await?;
    }
    // What must not travel: marks of the broker, wishes for copies, an expiration.
    let mut headers = FieldTable::default();
    headers.insert("x-death".into(), AMQPValue::FieldArray(vec![AMQPValue::FieldTable(FieldTable::default())].into()));
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![AMQPValue::LongString("replication.parked".into())].into()));
    headers.insert("x-kept".into(), AMQPValue::LongString("yes".into()));
    let properties =
        BasicProperties::default().with_headers(headers).with_expiration("600000".into()).with_app_id("app".into());
    let key = "media.encoding.finished.last".into();
    channel.basic_publish("media.events".into(), key, Default::default(), b"40", properties).await?;
    eventually("41 messages", async || Ok((scene.vhost.queue_depth(WORK).await? == Some(41)).then_some(()))).await?;

    let (told, errors, code) = scene.told(&["migrate", WORK]).await?;
    assert_eq!(
        (told.as_str(), code),
        ("queue replication.work was made anew: 41 messages held, 41 returned\n", Some(0)),
        "{errors}"
    );
    assert_eq!(scene.told(&["apply"]).await?.2, Some(0));
    let (answer, code) = scene.check().await?;
    assert_eq!((answer["complete"].as_bool(), code), (Some(true), Some(0)), "{answer:#}");
    assert_eq!(scene.vhost.queue_depth(HOLDING).await?, None);
    for number in 0..40 {
        let message = amqp.take(WORK).await?.context("too few")?;
        assert_eq!((message.body, message.message_id), (number.to_string().into_bytes(), Some(number.to_string())));
        assert_eq!(message.routing_key, format!("media.encoding.finished.{}", number % 7));
    }
    let last = channel.basic_get(WORK.into(), Default::default()).await?.context("the last one is lost")?;
    let headers = last.properties.headers().clone().unwrap_or_default();
    let names: Vec<_> =
        headers.inner().keys().map(|name| name.as_str()).filter(|name| *name != "x-delivery-count").collect();
    assert_eq!(names, ["x-kept"]);
    assert_eq!((last.properties.expiration(), last.properties.app_id()), (&None, &Some("app".into())));
    assert_eq!(scene.told(&["migrate", WORK]).await?.0, "queue replication.work is as these settings say\n");
    Ok(())
}

#[tokio::test]
async fn killed_on_its_way_there_and_on_its_way_back_it_loses_nothing() -> Result<()> {
    const COUNT: usize = 1_000;
    let scene = Scene::begin().await?;
    other_work_queue(&scene.channel().await?).await?;
    let amqp = Amqp::connect(&scene.vhost.amqp_url()).await?;
    for number in 0..COUNT {
        send(&amqp, number).await?;
    }
    let depth = async |queue| Ok::<_, anyhow::Error>(scene.vhost.queue_depth(queue).await?.unwrap_or(0));
    let config = scene.folder.path().join("settings.toml");

    let migration = Worker::spawn_command(&config, &["topology", "migrate", WORK])?;
    eventually("a part on its way", async || Ok((depth(HOLDING).await? > 200).then_some(()))).await?;
    migration.kill().await?;
    let (answer, code) = scene.check().await?;
    assert_eq!((in_state(&answer, "left-over"), code), (vec![HOLDING], Some(1)), "{answer:#}");
    assert_eq!(in_state(&answer, "different"), [WORK], "killed too late for this story");
    // What arrives meanwhile is in both, so that the deletion of the one loses nothing.
    let (work, holding) = (depth(WORK).await?, depth(HOLDING).await?);
    send(&amqp, COUNT).await?;
    let both = async || Ok((depth(WORK).await? > work && depth(HOLDING).await? > holding).then_some(()));
    eventually("one more in both", both).await?;

    let migration = Worker::spawn_command(&config, &["topology", "migrate", WORK])?;
    // Only on the way back it gets emptier.
    let before = Cell::new(0);
    let emptier = async || {
        let now = depth(HOLDING).await?;
        Ok((before.replace(now) > now).then_some(()))
    };
    eventually("a part is back", emptier).await?;
    migration.kill().await?;
    let (answer, _) = scene.check().await?;
    assert_eq!(in_state(&answer, "left-over"), [HOLDING], "killed too late for this story");
    assert!(in_state(&answer, "ok").contains(&WORK), "{answer:#}");

    let (told, errors, code) = scene.told(&["migrate", WORK]).await?;
    assert_eq!(code, Some(0), "{told}{errors}");
    assert_eq!(scene.vhost.queue_depth(HOLDING).await?, None);
    let bodies = drained(&amqp).await?;
    let different: BTreeSet<_> = bodies.iter().copied().collect();
    assert_eq!(different, (0..=COUNT).collect(), "lost");
    // At most the one that was under way at each kill, and the one that arrived in between.
    assert!(bodies.len() <= COUNT + 4, "{} messages", bodies.len());
    Ok(())
}

#[tokio::test]
async fn a_queue_with_consumers_an_unknown_one_and_a_missing_permission_are_refused() -> Result<()> {
    let scene = Scene::begin().await?;
    let channel = scene.channel().await?;
    other_work_queue(&channel).await?;
    let consumer =
        channel.basic_consume(WORK.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
    let (_, errors, code) = scene.told(&["migrate", WORK]).await?;
    assert!(errors.contains("1 consumers: stop the workers") && code == Some(1), "{errors}");
    channel.basic_cancel(consumer.tag(), Default::default()).await?;
    let (_, errors, code) = scene.told(&["migrate", "orders"]).await?;
    assert!(errors.contains("replication.retry.2m") && code == Some(64), "{errors}");
    scene.user("").await?;
    let (_, errors, code) = scene.told(&["migrate", WORK]).await?;
    assert!(errors.contains("ACCESS_REFUSED") && code == Some(1), "{errors}");
    assert_eq!(scene.vhost.queue_depth(WORK).await?, Some(0), "it is still there");
    Ok(())
}

#[tokio::test]
async fn the_log_keeps_its_records_and_their_keys() -> Result<()> {
    const LOG: &str = "replication.dead.log";
    let scene = Scene::begin().await?;
    assert_eq!(scene.topology(&["apply"]).await?.status.code(), Some(0));
    let channel = scene.channel().await?;
    channel.queue_delete(LOG.into(), Default::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    arguments.insert("x-max-age".into(), AMQPValue::LongString("1D".into()));
    declare_queue(&channel, LOG, arguments).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(LOG.into(), "replication.dlx".into(), "#".into(), options, none).await?;
    let amqp = Amqp::connect(&scene.vhost.amqp_url()).await?;
    for number in 0..250 {
        let message = Outgoing { body: number.to_string().into(), ..Outgoing::default() };
        amqp.publish("replication.dlx", &format!("dead.class-{number}"), message).await?;
    }
    let (told, errors, code) = scene.told(&["migrate", LOG]).await?;
    assert_eq!(
        (told.as_str(), code),
        ("queue replication.dead.log was made anew: 250 messages held, 250 returned\n", Some(0)),
        "{errors}"
    );
    assert_eq!(scene.check().await?.1, Some(0));

    channel.basic_qos(100, BasicQosOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
    let mut records = channel.basic_consume(LOG.into(), "".into(), BasicConsumeOptions::default(), arguments).await?;
    for number in 0..250 {
        let record = within("a record", async { records.next().await.context("no more")?.context("broken") }).await?;
        ensure!(record.data == number.to_string().into_bytes(), "{number}: {:?}", record.data);
        ensure!(record.routing_key.as_str() == format!("dead.class-{number}"), "{number}: {}", record.routing_key);
        record.ack(Default::default()).await?;
    }
    assert_eq!(scene.vhost.queue_depth("replication.dead").await?, Some(250), "the letters themselves stay");
    Ok(())
}
