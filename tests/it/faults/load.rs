//! Much at once: SIGTERM with a queue full of work, floods of messages that nobody can use, bodies and headers at their limits.

use anyhow::{Context, Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use testbed::amqp::Outgoing;
use testbed::emulator::{FaultAction, FaultRule};

use super::scene::{LIMIT, Scene};
use crate::support::story::SITES;
use crate::support::{End, Ledger, Worker, World, ensure_each_replicated, eventually, workers_are_gone};

const WORK: &str = "replication.work";
/// The largest body that RabbitMQ 4 takes by default, in bytes (`max_message_size`).
const LARGEST: usize = 16 * 1024 * 1024;
/// Properties and headers share one frame of at most this size, in bytes (RabbitMQ's `frame_max`), with some around them.
const FRAME: usize = 128 * 1024;
/// What a worker may grow by while thousands of messages pass through it, in KiB.
const GROWTH_KIB: u64 = 16 * 1024;

/// How the jobs are when the signal comes.
enum Jobs {
    /// They end in time.
    Short,
    /// They outlast the grace.
    Long,
}

/// A worker with sixteen messages in its queue, four of them under way, is told to stop.
async fn sigterm_under_load(jobs: Jobs, grace_seconds: u32) -> Result<()> {
    const MESSAGES: u32 = 16;
    let mut scene = Scene::begin(&format!("[worker]\ngrace_seconds = {grace_seconds}\n")).await?;
    let held = FaultRule::new(FaultAction::DelayMilliseconds(super::scene::HELD)).on("POST", "Assets").after_commit();
    scene.world.emulator.fault(held.times(4));
    scene.send(MESSAGES.try_into()?).await?;
    let held = || async { Ok((scene.world.emulator.delayed().iter().count() == 4).then_some(())) };
    eventually("four held calls", held).await.with_context(|| scene.worker.log())?;

    scene.worker.signal_termination().await?;
    scene.worker.logs("draining").await?;
    if matches!(jobs, Jobs::Short) {
        scene.world.emulator.release_delayed();
    }
    let code = scene.worker.exit_code().await?;
    workers_are_gone(&scene.world).await?;
    let back = scene.world.vhost.queue_depth(WORK).await?.context("no queue")?;
    let log = scene.worker.log();
    match jobs {
        Jobs::Short => ensure!(code == Some(0) && back == MESSAGES - 4, "{code:?}, {back} in the queue: {log}"),
        Jobs::Long => ensure!(code == Some(3) && back == MESSAGES, "{code:?}, {back} in the queue: {log}"),
    }
    scene.release();
    scene.worker = scene.world.worker().await?;
    scene.finish().await
}

#[tokio::test]
async fn sigterm_under_load_drains_what_ends_in_time() -> Result<()> {
    sigterm_under_load(Jobs::Short, 60).await
}

#[tokio::test]
async fn sigterm_under_load_gives_back_what_outlasts_the_grace() -> Result<()> {
    sigterm_under_load(Jobs::Long, 1).await
}

#[tokio::test]
async fn a_body_of_sixteen_mebibytes_is_parked_untouched() -> Result<()> {
    let mut scene = Scene::begin("").await?;
    let body: bytes::Bytes = vec![b' '; LARGEST].into();
    scene
        .world
        .amqp
        .publish("media.events", "media.encoding.finished.test", Ledger::unusable(body.clone(), "large"))
        .await?;
    let parked = scene.world.take("replication.parked").await.with_context(|| scene.worker.log())?;
    assert!(parked.body == body, "the body was changed");
    assert_eq!((parked.message_id.as_deref(), parked.routing_key.as_str()), (Some("large"), "parked.too-large"));
    scene.send(1).await?;
    scene.finish().await
}

/// Theirs fill the frame; with ours they would pass it, and what cannot be published again would come back for ever.
#[tokio::test]
async fn headers_that_fill_the_frame_stay_behind() -> Result<()> {
    let mut scene = Scene::begin("[http]\ntries = 1\n").await?;
    let oversize = |id: &str, body: Outgoing| {
        let mut headers = FieldTable::default();
        headers.insert("theirs".into(), AMQPValue::LongString("x".repeat(FRAME - 256 - id.len()).into()));
        Outgoing { other_headers: headers, ..body }
    };
    let asset = scene.world.encoded_asset("movie").await?;
    // Parked, dead, and done after a wait in a retry queue: each of them is published again.
    scene.world.emulator.fault(FaultRule::status(503).of_account("eastmedia"));
    let gone = "nb:cid:UUID:00000000-0000-0000-0000-000000000000";
    let messages = [
        oversize("parked", Ledger::unusable("{", "parked")),
        oversize("dead", Ledger::finished(gone, "dead")),
        oversize("done", Ledger::finished(&asset.id, "done")),
    ];
    for message in messages {
        scene.ledger.send(&scene.world.amqp, message).await?;
    }
    scene.ledger.settle(&scene.world, LIMIT).await.with_context(|| scene.worker.log())?;
    assert_eq!(scene.worker.terminate().await?, Some(0));
    let ledger = scene.ledger.close(&scene.world).await?;
    for (id, end) in [("parked", End::Parked), ("dead", End::Dead), ("done", End::Done)] {
        assert_eq!(ledger.with_end(end), [id]);
    }
    ensure_each_replicated(&scene.world, &[asset]).await
}

/// Publishes so many messages that are ignored or unusable, and waits until the worker has taken all of them.
pub async fn flood(count: usize) -> Result<()> {
    let world = World::start().await?;
    // The first one makes the topology.
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    world.write_config(&SITES, "[worker]\nconcurrency = 32\nlog_filter = 'error'\n")?;
    let worker = Worker::spawn(&world.config())?;
    let connection = Connection::connect(&world.vhost.amqp_url(), ConnectionProperties::default()).await?;
    let (mut sent, mut peaks_kib) = (0, Vec::new());
    while sent < count {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut confirms = Vec::new();
        for number in sent..count.min(sent + count / 20) {
            confirms.push(publish(&channel, number).await?);
        }
        sent += confirms.len();
        for confirm in confirms {
            ensure!(confirm.await? == Confirmation::Ack(None), "not stored");
        }
        channel.close(200, "done".into()).await?;
        drained(&world).await.with_context(|| worker.log())?;
        peaks_kib.push(worker.peak_memory_kib()?);
    }
    assert_eq!(worker.terminate().await?, Some(0));
    let depths = [world.vhost.queue_depth(WORK).await?, world.vhost.queue_depth("replication.parked").await?];
    ensure!(depths == [Some(0), Some(u32::try_from(count.div_ceil(2))?)], "{depths:?} in work and parked");
    // What a worker needs at first it needs once; from then on nothing may stay of a message.
    let (early, last) = (peaks_kib[peaks_kib.len() / 4], peaks_kib[peaks_kib.len() - 1]);
    ensure!(last <= early + GROWTH_KIB, "it grows: {peaks_kib:?} KiB");
    Ok(())
}

/// Every other one is ignored: the notification of an encoding job that is not done yet.
async fn publish(channel: &lapin::Channel, number: usize) -> Result<lapin::PublisherConfirm> {
    let body = if number.is_multiple_of(2) {
        format!("{{ \"number\": {number}, \"text\": \"{}\"", "x".repeat(500))
    } else {
        format!(
            "{{\"MessageVersion\":\"1.1\",\"EventType\":\"JobStateChange\",\"ETag\":\"{number}\",\"Properties\":\
             {{\"JobId\":\"nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21\",\"NewState\":\"Processing\",\
             \"AccountName\":\"westmedia\"}}}}"
        )
    };
    let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(format!("{number}").into());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let key = "media.encoding.finished.test";
    Ok(channel.basic_publish("media.events".into(), key.into(), options, body.as_bytes(), properties).await?)
}

async fn drained(world: &World) -> Result<()> {
    let empty = || async { Ok((world.vhost.queue_depth(WORK).await? == Some(0)).then_some(())) };
    eventually("an empty work queue", empty).await
}

#[tokio::test]
async fn ten_thousand_messages_that_nobody_can_use_leave_nothing_in_memory() -> Result<()> {
    flood(10_000).await
}
