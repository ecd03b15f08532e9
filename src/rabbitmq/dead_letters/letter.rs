//! A message that was set aside, with what the broker has written on it.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use time::OffsetDateTime;

use crate::rabbitmq::Message;

/// A message that was set aside: from the queue that holds it, or from the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The message.
    pub message: Message,
    /// The key it was set aside with: `dead.<class>`, `parked.<code>`.
    pub routing_key: String,
    /// What the broker notes where it dead-letters by itself: the latest time it did.
    pub death: Option<Death>,
}

/// One entry of `x-death` (RabbitMQ, dead lettering, "effects on messages").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The queue that gave it up.
    pub queue: String,
    /// Why: `delivery_limit`, `expired`, `maxlen`, `rejected`.
    pub reason: String,
    /// When it first did, in whole seconds.
    pub at: Option<OffsetDateTime>,
}

impl Letter {
    pub(super) fn new(delivery: lapin::message::Delivery) -> Self {
        let properties: &BasicProperties = &delivery.properties;
        Self {
            routing_key: delivery.routing_key.to_string(),
            death: properties.headers().as_ref().and_then(|table| latest_death(table).or_else(|| told_death(table))),
            message: Message::from_amqp(properties, delivery.data),
        }
    }
}

/// The first entry is the latest one.
fn latest_death(headers: &FieldTable) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else { return None };
    let AMQPValue::FieldTable(death) = deaths.as_slice().first()? else { return None };
    let text = |name: &str| match death.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        Some(AMQPValue::ShortString(text)) => text.to_string(),
        _ => String::new(),
    };
    let at = match death.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => {
            i64::try_from(*seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        }
        _ => None,
    };
    Some(Death { queue: text("queue"), reason: text("reason"), at })
}

/// Streams keep no lists, so that of `x-death` only text is left there: the last death (RabbitMQ 4), or the first one, which
/// is the last where it was the delivery limit.
fn told_death(headers: &FieldTable) -> Option<Death> {
    let text = |name: String| match headers.inner().get(name.as_str()) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    let told = |which: &str| {
        let (queue, reason) = (text(format!("x-{which}-death-queue"))?, text(format!("x-{which}-death-reason"))?);
        Some(Death { queue, reason, at: None })
    };
    told("last").or_else(|| told("first").filter(|death| death.reason == "delivery_limit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(queue: &str, reason: &str) -> AMQPValue {
        let mut table = FieldTable::default();
        table.insert("queue".into(), AMQPValue::LongString(queue.into()));
        table.insert("reason".into(), AMQPValue::LongString(reason.into()));
        table.insert("time".into(), AMQPValue::Timestamp(1_700_000_000));
        AMQPValue::FieldTable(table)
    }

    #[test]
    fn the_latest_death_is_read_and_nonsense_is_none() {
        let mut headers = FieldTable::default();
        let deaths = vec![death("work", "delivery_limit"), death("retry.5s", "expired")];
        headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
        let latest = latest_death(&headers).unwrap();
        assert_eq!((latest.queue.as_str(), latest.reason.as_str()), ("work", "delivery_limit"));
        assert_eq!(latest.at.map(OffsetDateTime::unix_timestamp), Some(1_700_000_000));
        headers.insert("x-death".into(), AMQPValue::LongLongInt(7));
        assert_eq!(latest_death(&headers), None);
        assert_eq!(latest_death(&FieldTable::default()), None);
    }

    #[test]
    fn what_a_stream_leaves_of_it_is_read() {
        let mut headers = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        headers.insert("x-first-death-queue".into(), text("retry.5s"));
        headers.insert("x-first-death-reason".into(), text("expired"));
        let mut without_last = FieldTable::default();
        without_last.insert("x-first-death-queue".into(), AMQPValue::LongString("retry.5s".into()));
        without_last.insert("x-first-death-reason".into(), AMQPValue::LongString("expired".into()));
        assert_eq!(told_death(&without_last), None, "it has died again since");
        headers.insert("x-last-death-queue".into(), text("work"));
        headers.insert("x-last-death-reason".into(), text("delivery_limit"));
        assert_eq!(told_death(&headers).map(|death| death.queue), Some("work".to_owned()));
    }
}
