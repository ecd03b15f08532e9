//! No delivery stays in a worker's hands for longer than a setting, whatever hangs or refuses, and none is lost by that.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::amqp::Outgoing;
use testbed::emulator::{FaultAction, FaultRule};
use testbed::proxy::{Action, Rule};

use crate::support::rabbitmq::Operator;
use crate::support::story::{SITES, Story, header};
use crate::support::{Worker, World, eventually, next_event};

const SHORT: &str = "[worker]\nconcurrency = 1\nmax_hold_seconds = 6\nslice_seconds = 2\n[http]\ntries = 1\n\
                     storage_timeout_seconds = 2\n";
const TIER: &str = "replication.retry.1s";
const REFUSED: &str = "cannot publish; keeping the delivery";
const GOES_ROUND: &str = "could not be published in time; the message goes round";

#[tokio::test]
async fn a_job_that_hangs_before_its_first_step_is_cut_off_and_costs_no_attempt() -> Result<()> {
    let story = Story::begin(SHORT).await?;
    let hangs = FaultRule::new(FaultAction::DelayMilliseconds(600_000)).on("GET", "Assets").of_account("westmedia");
    story.world.emulator.fault(hangs);
    let asset = story.send_asset().await?;
    story.worker.logs("code=\"held-too-long\"").await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_copy_that_hangs_is_stopped_in_time_to_give_back_what_the_job_holds() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(SHORT).await?;
    // Each listing ends by itself; what hangs for longer are all of them, one after the other. What gives back is quick.
    let slow = proxy.fault(Rule::new(Action::Delay(Duration::from_millis(1_500))).query("comp=list").times(6));
    let asset = story.send_asset().await?;
    story.worker.logs("code=\"slice-overrun\"").await?;
    story.finish(&asset.id, 1).await?;
    ensure!(slow.hits() > 2);
    Ok(())
}

/// A world whose first retry queue takes nothing, a worker in it, and a message that has to go there.
async fn begin_with_full_tier(settings: &str, failures: u32) -> Result<(World, Worker, Operator, String)> {
    let world = World::start().await?;
    world.write_config(&SITES, settings)?;
    assert_eq!(world.worker().await?.terminate().await?, Some(0), "has declared everything");
    let operator = Operator::connect(&world.vhost).await?;
    operator.delete_queue(TIER).await?;
    operator.declare_tiny_queue(TIER).await?;
    operator.bind(TIER, "replication.retry", "1s").await?;
    world.amqp.publish(TIER, "", Outgoing { body: "filler".into(), ..Outgoing::default() }).await?;
    let config = std::fs::read_to_string(world.config())?.replace("[rabbitmq]\n", "[rabbitmq]\ntopology = 'check'\n");
    std::fs::write(world.config(), config)?;
    let worker = world.worker().await?;
    world.emulator.fault(FaultRule::status(503).of_account("eastmedia").times(failures));
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    worker.logs(REFUSED).await?;
    Ok((world, worker, operator, asset.id))
}

/// Makes room in the retry queue; checks that the message is there, once, with one attempt used up, and sends it on.
async fn ensure_stored_once(world: &World, worker: &Worker, asset_id: &str) -> Result<()> {
    ensure!(world.take(TIER).await?.body == b"filler", "something was stored in a full queue");
    let letter = world.take(TIER).await.with_context(|| worker.log())?;
    ensure!(letter.json()?["data"]["asset"]["id"] == asset_id, "{letter:?}");
    ensure!(header(&letter, "x-replication-attempt")? == "1", "{letter:?}");
    ensure!(header(&letter, "x-replication-slice")? != "0", "handed back instead of sent round: {letter:?}");
    ensure!(!letter.headers.contains_key("x-delivery-count"), "{letter:?}");
    let settled = || async { Ok((world.vhost.queue_depth("replication.work").await? == Some(0)).then_some(())) };
    eventually("an empty work queue", settled).await?;
    ensure!(world.amqp.take(TIER).await?.is_none(), "stored twice");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_cannot_settle_keeps_its_delivery_and_takes_nothing_new() -> Result<()> {
    let settings = "[worker]\nconcurrency = 1\n[http]\ntries = 1\n";
    let (world, worker, _operator, asset_id) = begin_with_full_tier(settings, 1).await?;
    let mut events = world.events().await?;
    let other = world.encoded_asset("other").await?;
    world.send_finished(&other.id).await?;
    let waits = || async { Ok((world.vhost.queue_depth("replication.work").await? == Some(1)).then_some(())) };
    eventually("the other message waiting", waits).await.with_context(|| worker.log())?;

    ensure!(world.take(TIER).await?.body == b"filler", "something was stored in a full queue");
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    ensure!(event["data"]["asset"]["id"] == other.id.as_str(), "{event:#}");
    let letter = world.take(TIER).await?;
    ensure!(letter.json()?["data"]["asset"]["id"] == asset_id.as_str(), "{letter:?}");
    ensure!(worker.log().matches(REFUSED).count() == 1, "told once: {}", worker.log());
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn where_even_the_retry_queue_is_full_the_message_goes_round_at_once() -> Result<()> {
    let (world, worker, _operator, asset_id) = begin_with_full_tier(SHORT, 99).await?;
    worker.logs(GOES_ROUND).await?;
    // It comes again, and fails again: as a new message, since the broker counts how often it delivers one.
    let refused_again = || async { Ok((worker.log().matches(REFUSED).count() > 1).then_some(())) };
    eventually("the same again", refused_again).await.with_context(|| worker.log())?;
    ensure!(!worker.log().contains("not sent round"), "{}", worker.log());
    ensure_stored_once(&world, &worker, &asset_id).await?;
    ensure!(world.site("east").assets().is_empty(), "nothing was made at the replica");
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn an_event_that_nobody_takes_lets_its_message_go_round_without_counting_deliveries() -> Result<()> {
    let world = World::start().await?;
    // An emulator of storage closes what was idle for the time of a round: such a call is made again.
    world.write_config(&SITES, &SHORT.replace("tries = 1", "tries = 3"))?;
    world.set_retry_delays(&[3_600])?;
    let worker = world.worker().await?;
    let operator = Operator::connect(&world.vhost).await?;
    operator.unbind("replication.unrouted", "replication.unrouted", "").await?;
    let asset = world.encoded_asset("movie").await?;
    let id = world.send_finished(&asset.id).await?;
    let mut waiting = go_round(&world, &worker, &id).await?;
    world.amqp.publish("replication.retry", "now", waiting).await?;
    waiting = go_round(&world, &worker, &id).await?;

    let mut events = world.events().await?;
    world.amqp.publish("replication.retry", "now", waiting).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    ensure!(event["data"]["asset"]["id"] == asset.id.as_str() && event["data"]["attempts"] == 1, "{event:#}");
    assert_eq!(worker.terminate().await?, Some(0));
    for queue in ["work", "dead", "retry.1h"] {
        let depth = world.vhost.queue_depth(&format!("replication.{queue}")).await?;
        ensure!(depth == Some(0), "queue {queue} has {depth:?}");
    }
    Ok(())
}

/// Waits until the message has been sent round, takes it from where it waits, and gives it as it is sent on.
async fn go_round(world: &World, worker: &Worker, id: &str) -> Result<Outgoing> {
    let waiting = world.take("replication.retry.1h").await.with_context(|| worker.log())?;
    ensure!(waiting.message_id.as_deref() == Some(id), "{waiting:?}");
    ensure!(header(&waiting, "x-replication-code")? == "settlement-refused", "{waiting:?}");
    ensure!(header(&waiting, "x-replication-attempt")? == "0", "{waiting:?}");
    // Some brokers count from the first delivery on, others write a zero.
    ensure!(waiting.headers.get("x-delivery-count").is_none_or(|count| count == "0"), "{waiting:?}");
    let headers = waiting.headers.into_iter().collect();
    let (message_id, content_type) = (waiting.message_id, waiting.content_type);
    Ok(Outgoing { body: waiting.body.into(), message_id, content_type, headers, ..Outgoing::default() })
}
