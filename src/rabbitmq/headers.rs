//! Headers of a message as values, and the rule of what may travel on when it is published again.

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::PublishError;
use super::message::short;

/// The header that lists the names of foreign headers that were too large to carry on.
pub const DROPPED_HEADERS: &str = "x-replication-dropped-headers";

/// Above this size together, in bytes, foreign headers stay behind: properties and headers share one frame of at most
/// 128 KiB (RabbitMQ's default `frame_max`).
const MAX_BYTES: usize = 64 * 1024;

/// Names listed in [`DROPPED_HEADERS`] end here, in bytes.
const MAX_LISTED_BYTES: usize = 4 * 1024;

/// One header. Only scalars are carried on: RabbitMQ 4 drops lists and tables when it converts to AMQP 1.0.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// Text in UTF-8.
    Text(String),
    /// Any of AMQP's integers.
    Integer(i64),
    /// A truth.
    Boolean(bool),
    /// A floating-point number.
    Real(f64),
    /// A time in seconds since 1970.
    Timestamp(u64),
    /// A list, a table, bytes or nothing: seen, never sent.
    Other,
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for HeaderValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for HeaderValue {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<bool> for HeaderValue {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

/// The headers of a message, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Headers(BTreeMap<String, HeaderValue>);

impl Headers {
    /// The header, when it is there and is text.
    #[must_use]
    pub fn get_text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(HeaderValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The header, when it is there and is an integer.
    #[must_use]
    pub fn get_integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(HeaderValue::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// The header, whatever it is.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&HeaderValue> {
        self.0.get(name)
    }

    /// Sets a header.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<HeaderValue>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) -> Option<HeaderValue> {
        self.0.remove(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// What may travel on when the message is published again; [`super::Publisher::publish`] applies it to everything.
    ///
    /// The broker's own marks stay behind: with `x-death` on it, RabbitMQ 3.10 takes a message that comes back through a
    /// retry queue for a cycle, and drops it after having confirmed it. Where all headers together pass 64 KiB, the
    /// foreign ones stay behind and [`DROPPED_HEADERS`] lists their names; so do the largest of those that only pretend to
    /// be ours, since what cannot be published would come back for ever.
    #[must_use]
    pub fn for_republishing(&self) -> Self {
        let carried = |(name, value): &(&String, &HeaderValue)| !is_brokers(name) && **value != HeaderValue::Other;
        let kept: BTreeMap<_, _> =
            self.0.iter().filter(carried).map(|(name, value)| (name.clone(), value.clone())).collect();
        if kept.iter().map(|(name, value)| size(name, value)).sum::<usize>() <= MAX_BYTES {
            return Self(kept);
        }
        let (mut carried, mut dropped, mut bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
        let mut smallest_first: Vec<_> = kept.into_iter().collect();
        smallest_first.sort_by_key(|(name, value)| size(name, value));
        for (name, value) in smallest_first {
            let grown = bytes + size(&name, &value);
            if is_ours(&name) && grown <= MAX_BYTES {
                bytes = grown;
                carried.insert(name, value);
            } else {
                dropped.insert(name, value);
            }
        }
        carried.insert(DROPPED_HEADERS.to_owned(), HeaderValue::Text(listed(dropped.keys())));
        Self(carried)
    }

    /// Reads lapin's table.
    pub(super) fn from_table(table: &FieldTable) -> Self {
        Self(table.inner().iter().map(|(name, value)| (name.to_string(), from_amqp(value))).collect())
    }

    /// Writes lapin's table.
    pub(super) fn to_table(&self) -> Result<FieldTable, PublishError> {
        let mut table = BTreeMap::<ShortString, AMQPValue>::new();
        for (name, value) in &self.0 {
            let value = match value {
                HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
                HeaderValue::Integer(number) => AMQPValue::LongLongInt(*number),
                HeaderValue::Boolean(truth) => AMQPValue::Boolean(*truth),
                HeaderValue::Real(number) => AMQPValue::Double(*number),
                HeaderValue::Timestamp(seconds) => AMQPValue::Timestamp(*seconds),
                HeaderValue::Other => continue,
            };
            table.insert(short("a header's name", name)?, value);
        }
        Ok(table.into())
    }
}

impl<N: Into<String>, V: Into<HeaderValue>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Whether the broker wrote it about an earlier journey of the message.
pub(super) fn is_brokers(name: &str) -> bool {
    ["x-death", "x-first-death-", "x-last-death-"].iter().any(|prefix| name.starts_with(prefix))
        || ["x-delivery-count", "x-acquired-count", "x-stream-offset"].contains(&name)
}

/// Whether we wrote it, the trace context included.
fn is_ours(name: &str) -> bool {
    name.starts_with("x-replication-") || name == "traceparent" || name == "tracestate"
}

/// Bytes on the wire: the name and its length, the kind, the value (AMQP 0-9-1, field tables).
fn size(name: &str, value: &HeaderValue) -> usize {
    let value = match value {
        HeaderValue::Text(text) => 4 + text.len(),
        HeaderValue::Integer(_) | HeaderValue::Real(_) | HeaderValue::Timestamp(_) => 8,
        HeaderValue::Boolean(_) => 1,
        HeaderValue::Other => 0,
    };
    2 + name.len() + value
}

/// The names, separated by commas, as many as fit.
fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let mut list = String::new();
    for name in names {
        if list.len() + name.len() > MAX_LISTED_BYTES {
            list.push_str(", ..");
            break;
        }
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(name);
    }
    list
}

fn from_amqp(value: &AMQPValue) -> HeaderValue {
    match value {
        AMQPValue::Boolean(truth) => HeaderValue::Boolean(*truth),
        AMQPValue::ShortShortInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::ShortShortUInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::ShortInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::ShortUInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::LongInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::LongUInt(number) => HeaderValue::Integer((*number).into()),
        AMQPValue::LongLongInt(number) => HeaderValue::Integer(*number),
        AMQPValue::Float(number) => HeaderValue::Real((*number).into()),
        AMQPValue::Double(number) => HeaderValue::Real(*number),
        AMQPValue::Timestamp(seconds) => HeaderValue::Timestamp(*seconds),
        AMQPValue::ShortString(text) => HeaderValue::Text(text.to_string()),
        AMQPValue::LongString(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => HeaderValue::Text(text.to_owned()),
            Err(_) => HeaderValue::Other,
        },
        _ => HeaderValue::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headers: &Headers) -> Vec<&str> {
        headers.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_brokers_marks_stay_behind() {
        let mut headers: Headers = [
            ("x-death", 1_i64),
            ("x-death-more", 1),
            ("x-first-death-queue", 1),
            ("x-last-death-reason", 1),
            ("x-delivery-count", 1),
            ("x-stream-offset", 1),
            ("x-deathly", 1),
            ("x-replication-attempt", 3),
            ("x-deliver", 1),
        ]
        .into_iter()
        .collect();
        headers.set("CC", HeaderValue::Other);
        headers.remove("x-deathly");
        assert_eq!(names(&headers.for_republishing()), ["x-deliver", "x-replication-attempt"]);
    }

    #[test]
    fn headers_that_fit_are_all_carried_on() {
        let mut headers = Headers::default();
        headers.set("theirs", "a".repeat(MAX_BYTES - 2 - 4 - "theirs".len()));
        assert_eq!(headers.for_republishing(), headers);
    }

    #[test]
    fn too_large_foreign_headers_are_dropped_and_named() {
        let mut headers = Headers::default();
        headers.set("theirs", "a".repeat(40_000));
        headers.set("also-theirs", "b".repeat(30_000));
        headers.set("x-replication-code", "timeout");
        headers.set("traceparent", "00-1-2-01");
        let kept = headers.for_republishing();
        assert_eq!(names(&kept), ["traceparent", "x-replication-code", DROPPED_HEADERS]);
        assert_eq!(kept.get_text(DROPPED_HEADERS), Some("also-theirs, theirs"));
    }

    #[test]
    fn the_largest_of_what_pretends_to_be_ours_is_dropped_too() {
        let mut headers: Headers =
            (0..9).map(|n| (format!("x-replication-{n}"), "x".repeat(8_000))).collect::<Headers>();
        headers.set("x-replication-code", "not-json");
        let kept = headers.for_republishing();
        assert_eq!(kept.get_text(DROPPED_HEADERS), Some("x-replication-8"));
        assert_eq!(kept.get_text("x-replication-code"), Some("not-json"));
    }

    #[test]
    fn the_list_of_dropped_names_is_bounded() {
        let headers: Headers =
            (0..2_000).map(|n| (format!("header-{n:04}-{}", "x".repeat(200)), i64::from(n))).collect::<Headers>();
        let kept = headers.for_republishing();
        let list = kept.get_text(DROPPED_HEADERS).unwrap();
        assert!(list.len() < MAX_LISTED_BYTES + 8 && list.ends_with(", .."), "{}", list.len());
    }

    #[test]
    fn scalars_survive_the_wire_and_the_rest_is_seen_only() {
        let mut headers = Headers::default();
        headers.set("text", "ü");
        headers.set("integer", i64::MIN);
        headers.set("boolean", true);
        headers.set("real", HeaderValue::Real(0.5));
        headers.set("timestamp", HeaderValue::Timestamp(7));
        assert_eq!(Headers::from_table(&headers.to_table().unwrap()), headers);
        let mut table = FieldTable::default();
        table.insert("list".into(), AMQPValue::FieldArray(Vec::new().into()));
        table.insert("bytes".into(), AMQPValue::LongString(vec![0xff].into()));
        let seen = Headers::from_table(&table);
        assert_eq!((seen.get("list"), seen.get("bytes")), (Some(&HeaderValue::Other), Some(&HeaderValue::Other)));
        assert!(seen.to_table().unwrap().inner().is_empty());
    }

    #[test]
    fn a_name_that_amqp_cannot_hold_is_an_error() {
        let headers: Headers = [("n".repeat(256), 1_i64)].into_iter().collect();
        assert_eq!(headers.to_table(), Err(PublishError::TooLong { field: "a header's name", bytes: 256 }));
    }
}
