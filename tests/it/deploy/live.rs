//! A real Prometheus scrapes a real worker and its broker through an outage: metrics, alerts and dashboard at work.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::emulator::{DoorKind, FaultAction, FaultBody, FaultRule};
use testbed::process::{RabbitMq, RabbitOptions};

use super::path;
use super::prometheus::{Prometheus, dashboard_queries, free_port, promtool};
use crate::support::story::{SITES, Story};
use crate::support::{World, eventually, within};

const CONNECTION: &str = "StreamReplicatorNotConnected";

/// Sends "encoding finished" with the time at which it did, half a minute ago.
async fn send(story: &Story, asset: &str) -> Result<()> {
    let finished = time::OffsetDateTime::now_utc() - time::Duration::seconds(30);
    let finished = finished.format(&time::format_description::well_known::Rfc3339)?;
    let body = json!({ "site": "west", "asset": { "id": asset }, "finishedAt": finished });
    story.world.send(body.to_string(), None).await
}

/// One of each thing that is counted: a replica at the first try, one at the second, a dead letter, a message for others.
async fn work(story: &mut Story, prometheus: &Prometheus) -> Result<()> {
    let first = story.world.encoded_asset("movie").await?;
    send(story, &first.id).await?;
    within("the first replica", story.events.next()).await.with_context(|| story.worker.log())?;
    // a rate needs a sample before what it counts
    prometheus.says("sum(stream_replicator_replicas_total)", |count| count == 1.0).await?;

    // a page instead of a manifest: the replica does not pass verification, and is tried again
    let page = FaultAction::Answer { status: 200, body: FaultBody::Html, retry_after_seconds: None };
    story.world.emulator.fault(FaultRule::new(page).at(DoorKind::Streaming).of_account("eastmedia"));
    let second = story.world.encoded_asset("movie").await?;
    send(story, &second.id).await?;
    within("the second replica", story.events.next()).await.with_context(|| story.worker.log())?;
    send(story, "nb:cid:UUID:00000000-0000-0000-0000-000000000001").await?;
    let properties = json!({
        "JobId": "nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21", "NewState": "Processing", "OldState": "Queued",
    });
    let other = json!({
        "MessageVersion": "1.1", "ETag": "e", "EventType": "JobStateChange",
        "TimeStamp": "2026-11-20T10:15:30.1234567Z", "Properties": properties,
    });
    story.world.send(other.to_string(), None).await?;
    for count in ["replicas_total) == 2", "dead_letters_total) == 1", "ignored_total) == 1", "retries_total) >= 1"] {
        prometheus
            .says(&format!("sum(stream_replicator_{count}"), |_| true)
            .await
            .with_context(|| story.worker.log())?;
    }
    Ok(())
}

/// Every panel shows something.
async fn ensure_dashboard_shows(prometheus: &Prometheus) -> Result<()> {
    let queries = dashboard_queries(&path("grafana/stream-replicator.json"))?;
    assert!(queries.len() > 30, "{queries:?}");
    for (panel, query) in queries {
        let shown = || async { Ok((!prometheus.query(&query).await?.is_empty()).then_some(())) };
        eventually(&format!("data for '{panel}': {query}"), shown).await?;
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_scrapes_a_worker_and_alerts_on_the_loss_of_its_broker() -> Result<()> {
    let (admin, broker) = (format!("127.0.0.1:{}", free_port()?), free_port()?);
    let extra_conf = format!("prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {broker}\n");
    let options = RabbitOptions { plugins: &["rabbitmq_prometheus"], extra_conf, ..RabbitOptions::default() };
    let node = RabbitMq::start(options).await?;
    let world = World::at_broker(node.broker()).await?;
    world.write_config(&SITES, &format!("[admin]\nlisten = '{admin}'\n"))?;
    let mut story = Story::begin_in(world).await?;
    let prometheus = Prometheus::start(&admin, &format!("127.0.0.1:{broker}")).await?;
    work(&mut story, &prometheus).await?;
    ensure_dashboard_shows(&prometheus).await?;
    // a message that was set aside is no reason for the other alerts
    for alert in ["StreamReplicatorDeadLetters", "StreamReplicatorDeadLettersWaiting"] {
        prometheus.alerts(alert, true).await?;
    }
    let firing = prometheus.firing().await?;
    let others: Vec<_> = firing.iter().filter(|name| !name.starts_with("StreamReplicatorDeadLetters")).collect();
    ensure!(others.is_empty(), "nothing else has happened: {others:?}");

    let metrics = reqwest::get(format!("http://{admin}/metrics")).await?.text().await?;
    let checked = promtool(&["check", "metrics"], &metrics).await?;
    ensure!(checked.status.success() && checked.stdout.is_empty() && checked.stderr.is_empty(), "{checked:?}");

    node.stop().await?;
    prometheus.alerts(CONNECTION, true).await.with_context(|| story.worker.log())?;
    node.restart().await?;
    prometheus.alerts(CONNECTION, false).await.with_context(|| story.worker.log())?;
    assert_eq!(story.worker.terminate().await?, Some(0));
    prometheus.alerts("StreamReplicatorWorkerDown", true).await
}
