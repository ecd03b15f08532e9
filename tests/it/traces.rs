//! One trace from the encoder's event to ours, as a collector sees it; and nothing is lost where there is none.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::amqp::Outgoing;
use testbed::collector::{Collector, Span};
use testbed::emulator::{FaultAction, FaultBody, FaultRule};

use crate::support::{World, eventually, within};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const ENCODER: &str = "b7ad6b7169203331";
/// The steps of an asset of a media service, in their order.
const STEPS: [&str; 9] = [
    "take_lease",
    "find_source_asset",
    "ensure_source_locator",
    "ensure_replica_asset",
    "copy_blobs",
    "verify_copy",
    "register_files",
    "ensure_replica_locator",
    "verify_playback",
];

/// "Encoding finished", with the encoder's place in a trace in the event itself or in a header.
fn finished(asset: &str, is_in_header: bool) -> Outgoing {
    let traceparent = format!("00-{TRACE}-{ENCODER}-01");
    let mut event = json!({
        "specversion": "1.0", "id": "traced", "source": "/encoders/test", "type": "media.encoding.finished.v1",
        "data": { "site": "west", "asset": { "id": asset } },
    });
    let mut message = Outgoing { message_id: Some("traced".into()), ..Outgoing::default() };
    if is_in_header {
        message.headers.push(("traceparent".into(), traceparent));
    } else {
        event["traceparent"] = traceparent.into();
    }
    message.body = event.to_string().into();
    message
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

async fn one_trace_leads_from_their_event_to_ours(is_in_header: bool) -> Result<()> {
    let (collector, world) = (Collector::start().await?, World::start().await?);
    world.write_config(&["west", "east"], &format!("[traces]\notlp_url = '{}'\n", collector.url()))?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    // the first try fails, so that the trace has a second one
    let busy = FaultAction::Answer { status: 503, body: FaultBody::Empty, retry_after_seconds: None };
    world.emulator.fault(FaultRule::new(busy).on("POST", "Assets").times(4));
    world.amqp.publish("media.events", "media.encoding.finished.test", finished(&asset.id, is_in_header)).await?;
    let received = within("the event", events.next()).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0), "the last traces are sent before the end");

    let spans = collector.spans();
    ensure!(spans.iter().all(|span| span.trace_id == TRACE), "another trace: {spans:#?}");
    ensure!(spans.iter().all(|span| span.service == "stream-replicator"), "{spans:#?}");
    let runs = named(&spans, "process replication.work");
    let [failed, done] = runs.as_slice() else { anyhow::bail!("not two runs: {spans:#?}") };
    for run in &runs {
        assert_eq!((run.parent_id.as_str(), run.kind.as_str()), (ENCODER, "CONSUMER"));
        assert_eq!(run.attributes["messaging.system"], "rabbitmq");
        assert_eq!(run.attributes["messaging.operation.type"], "process");
        assert_eq!(run.attributes["messaging.message.id"], "traced");
    }
    assert_eq!(
        failed.attributes["messaging.destination.name"],
        "media.events:media.encoding.finished.test:replication.work"
    );
    assert_eq!((failed.has_failed, failed.attributes["error.type"].as_str()), (true, "media-service-busy"));
    assert_eq!((done.has_failed, done.attributes["stream_replicator.settlement"].as_str()), (false, "complete"));
    let steps: Vec<_> = spans
        .iter()
        .filter(|span| span.parent_id == done.id && span.kind == "INTERNAL")
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(steps, STEPS);
    let of_failed: Vec<_> = spans.iter().filter(|span| span.parent_id == failed.id).collect();
    ensure!(
        of_failed.last().is_some_and(|step| step.name == "ensure_replica_asset" && step.has_failed),
        "{of_failed:#?}"
    );

    let published = named(&spans, "publish media.replication");
    let [published] = published.as_slice() else { anyhow::bail!("not one event: {spans:#?}") };
    assert_eq!((published.parent_id.as_str(), published.kind.as_str()), (done.id.as_str(), "PRODUCER"));
    let carried = format!("00-{TRACE}-{}-01", published.id);
    assert_eq!(received.headers["traceparent"], carried);
    assert_eq!(received.json()?["traceparent"], carried);
    Ok(())
}

#[tokio::test]
async fn one_trace_leads_from_their_event_to_ours_by_the_event_itself() -> Result<()> {
    one_trace_leads_from_their_event_to_ours(false).await
}

#[tokio::test]
async fn one_trace_leads_from_their_event_to_ours_by_a_header() -> Result<()> {
    one_trace_leads_from_their_event_to_ours(true).await
}

/// No collector, and one that begins where nobody has begun a trace.
#[tokio::test]
async fn without_a_collector_work_goes_on_and_one_line_says_so() -> Result<()> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], "[traces]\notlp_url = 'http://127.0.0.1:1/v1/traces'\n")?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    for _ in 0..2 {
        let asset = world.encoded_asset("movie").await?;
        world.send_finished(&asset.id).await?;
        let event = within("the event", events.next()).await.with_context(|| worker.log())?.json()?;
        let traceparent = event["traceparent"].as_str().unwrap_or_default().to_owned();
        ensure!(traceparent.starts_with("00-") && traceparent.ends_with("-01"), "a trace of our own: {event:#}");
        let told = || async { Ok((worker.log().matches("traces are not taken and lost").count() == 1).then_some(())) };
        eventually("the line about traces", told).await.with_context(|| worker.log())?;
    }
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}
