//! Trouble that outlasts the tries in process: the message waits in a retry queue and knows what it has been through.

use anyhow::Result;
use testbed::amqp::Outgoing;
use testbed::emulator::{FaultAction, FaultBody, FaultRule};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{AGAIN, SITES, Story, header};
use crate::support::{World, ensure_one_replica};

const ONE_HOUR: u64 = 3_600;
const TWO_TRIES: &str = "[http]\ntries = 2\n";
const ONE_TRY: &str = "[http]\ntries = 1\n";

/// 503 with a `Retry-After`, once.
fn busy_for(seconds: u64) -> FaultRule {
    let body = FaultBody::Odata;
    let action = FaultAction::Answer { status: 503, body, retry_after_seconds: Some(seconds) };
    FaultRule::new(action).on("GET", "Assets").of_account("eastmedia")
}

async fn begin_with_delays(settings: &str, seconds: &[u64]) -> Result<Story> {
    let world = World::start().await?;
    world.write_config(&SITES, settings)?;
    world.set_retry_delays(seconds)?;
    Story::begin_in(world).await
}

#[tokio::test]
async fn a_burst_that_ends_within_the_tries_in_process_costs_no_attempt() -> Result<()> {
    let story = Story::begin(TWO_TRIES).await?;
    story.world.emulator.fault(FaultRule::status(503).of_account("eastmedia"));
    let asset = story.send_asset().await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_burst_beyond_the_tries_in_process_goes_through_a_retry_queue() -> Result<()> {
    let story = Story::begin(TWO_TRIES).await?;
    story.world.emulator.fault(FaultRule::status(503).of_account("eastmedia").times(2));
    let asset = story.send_asset().await?;
    story.worker.logs(AGAIN).await?;
    assert_eq!(story.logged(AGAIN), 1);
    story.finish(&asset.id, 2).await?;
    Ok(())
}

#[tokio::test]
async fn each_burst_uses_up_one_attempt_and_the_last_tier_repeats() -> Result<()> {
    let story = begin_with_delays(ONE_TRY, &[1, 2]).await?;
    story.world.emulator.fault(FaultRule::status(503).of_account("eastmedia").times(3));
    let asset = story.send_asset().await?;
    let event = story.finish(&asset.id, 4).await?;
    assert_eq!(event["data"]["correlation"]["cmsId"], "4711", "the message is still the same");
    Ok(())
}

#[tokio::test]
async fn a_waiting_message_carries_its_history_and_is_otherwise_untouched() -> Result<()> {
    let mut story =
        begin_with_delays(&format!("[worker]\njob_deadline_seconds = 7200\n{ONE_TRY}"), &[ONE_HOUR]).await?;
    story.world.emulator.fault(FaultRule::status(503).of_account("eastmedia"));
    let asset = story.world.encoded_asset("movie").await?;
    let before = OffsetDateTime::now_utc() - time::Duration::milliseconds(1);
    let id = story.world.send_finished(&asset.id).await?;
    let waiting = story.world.take("replication.retry.1h").await?;

    assert_eq!(waiting.message_id.as_deref(), Some(id.as_str()));
    assert_eq!(waiting.json()?["data"]["asset"]["id"], asset.id.as_str());
    assert_eq!(header(&waiting, "x-replication-attempt")?, "1");
    assert_eq!(header(&waiting, "x-replication-slice")?, "0");
    assert_eq!(header(&waiting, "x-replication-code")?, "media-service-busy");
    assert_eq!(header(&waiting, "x-replication-site")?, "east");
    assert_eq!(header(&waiting, "x-replication-step")?, "ensure_replica_asset");
    assert!(header(&waiting, "x-replication-error")?.contains("503"));
    assert_eq!(header(&waiting, "x-replication-source-exchange")?, "media.events");
    assert_eq!(header(&waiting, "x-replication-source-key")?, "media.encoding.finished.test");
    assert!(!waiting.headers.contains_key("x-replication-class"), "it is no dead letter");
    let time = |name| -> Result<_> { Ok(OffsetDateTime::parse(header(&waiting, name)?, &Rfc3339)?) };
    let first_seen = time("x-replication-first-seen")?;
    assert!(before <= first_seen && first_seen <= OffsetDateTime::now_utc(), "{first_seen}");
    assert_eq!(time("x-replication-deadline")? - first_seen, time::Duration::hours(2));

    // An operator who does not want to wait for an hour, with a tool that knows text headers only.
    let headers = waiting.headers.into_iter().collect();
    let again = Outgoing {
        body: waiting.body.into(),
        message_id: waiting.message_id,
        content_type: waiting.content_type,
        headers,
        ..Outgoing::default()
    };
    story.world.amqp.publish("replication.retry", "now", again).await?;
    assert_eq!(story.event().await?["data"]["attempts"], 2);
    ensure_one_replica(&story.world, &asset.id).await?;
    Ok(())
}

#[tokio::test]
async fn a_longer_wait_that_the_service_asks_for_is_a_longer_tier() -> Result<()> {
    let story = begin_with_delays("", &[1, ONE_HOUR]).await?;
    story.world.emulator.fault(busy_for(30));
    let asset = story.send_asset().await?;
    let waiting = story.world.take("replication.retry.1h").await?;
    assert_eq!(header(&waiting, "x-replication-attempt")?, "1");
    let emulator = &story.world.emulator;
    assert_eq!(emulator.requests().count("GET", "Assets", "eastmedia"), 1, "not asked again before the time");
    assert!(story.world.site("east").assets().is_empty(), "{asset:?}");
    Ok(())
}

#[tokio::test]
async fn a_short_wait_that_the_service_asks_for_is_kept_in_process() -> Result<()> {
    let mut story = begin_with_delays("", &[ONE_HOUR]).await?;
    story.world.emulator.fault(busy_for(1));
    let asset = story.send_asset().await?;
    story.event().await?;
    let requests = story.world.emulator.requests();
    let times: Vec<_> = requests
        .iter()
        .filter(|request| request.entity_set.as_deref() == Some("Assets") && request.method == "GET")
        .filter(|request| request.account.as_deref() == Some("eastmedia"))
        .map(|request| request.time)
        .collect();
    assert!(times[1] - times[0] >= time::Duration::seconds(1), "asked again before the time: {times:?} {asset:?}");
    Ok(())
}
