//! What the demo says to the worker, and what the worker announces.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::timeout;
use uuid::Uuid;

use super::screen::Screen;
use super::worker::Log;
use crate::amqp::{Amqp, Outgoing, Subscription};

/// Whatever is waited for comes sooner than this, or never.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// Where encoders publish.
pub(super) const EVENTS_EXCHANGE: &str = "media.events";

const CLOUD_EVENT_KEY: &str = "media.encoding.finished.v1";

/// Subscribes to all that the worker announces; it consumes already, so that its exchanges are there.
pub(super) async fn subscribe(broker: &Amqp) -> Result<Subscription> {
    broker.subscribe("media.replication", "#").await
}

/// Sends "encoding finished" as a CloudEvent, as an encoder of one's own would; `asset` is `{id}` or `{location}`.
pub(super) async fn announce(screen: &Screen, broker: &Amqp, asset: Value) -> Result<()> {
    let id = Uuid::new_v4().to_string();
    let finished_at = OffsetDateTime::now_utc().format(&Rfc3339)?;
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/encoders/demo", "type": "media.encoding.finished.v1",
        "data": {
            "site": "west", "asset": asset, "finishedAt": finished_at, "correlation": {"cmsId": "4711"},
        },
    });
    let content_type = Some("application/cloudevents+json".to_owned());
    let message =
        Outgoing { body: event.to_string().into(), content_type, message_id: Some(id), ..Outgoing::default() };
    broker.publish(EVENTS_EXCHANGE, CLOUD_EVENT_KEY, message).await?;
    screen.step("encoder", "publishes the CloudEvent media.encoding.finished.v1 about it");
    Ok(())
}

/// The event about an asset, shown only after the worker's line about it, which comes behind the first `seen`.
pub(super) async fn replicated(
    screen: &Screen,
    events: &mut Subscription,
    (log, seen): (&mut Log, usize),
    asset: &str,
) -> Result<Value> {
    let message = within("an event", events.next()).await?;
    within("the worker's last line about it", log.says(": replicated", seen)).await?;
    let event = message.json()?;
    ensure!(event["type"] == "media.asset.replicated.v1", "an event of type {} came", event["type"]);
    ensure!(event["subject"] == asset, "the event is about {}, not {asset}", event["subject"]);
    screen.step("event", &format!("a subscriber receives it with key {}", message.routing_key));
    Ok(event)
}

/// Waits for something that must happen.
pub(super) async fn within<T>(what: &str, event: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(LIMIT, event).await {
        Ok(result) => result.with_context(|| format!("waiting for {what}")),
        Err(_) => bail!("waited {} s for {what}, which did not come", LIMIT.as_secs()),
    }
}
