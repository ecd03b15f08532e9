//! Messages as values, both ways, before and after their wire formats.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::model::ReplicationRequest;

/// A message as it reached us, without its broker.
#[derive(Debug, Clone, Default)]
pub struct Incoming<'a> {
    /// The body, untouched.
    pub body: &'a [u8],
    /// AMQP's `content_type`.
    pub content_type: Option<&'a str>,
    /// AMQP's `message_id`.
    pub message_id: Option<&'a str>,
    /// Text headers.
    pub headers: BTreeMap<&'a str, &'a str>,
}

impl Incoming<'_> {
    /// The trace: the event's own attribute, else AMQP's header; nothing that is not of the W3C form.
    pub(super) fn traceparent(&self, attribute: Option<&str>) -> Option<String> {
        let text = attribute.or_else(|| self.headers.get("traceparent").copied())?;
        let lengths: Vec<_> = text.split('-').map(str::len).collect();
        let is_hex = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        (is_hex && lengths == [2, 32, 16, 2]).then(|| text.to_owned())
    }
}

/// What a readable message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Something to replicate.
    Request(Box<ReplicationRequest>),
    /// Not for us: acknowledged and counted under `reason`.
    Ignored {
        /// A stable word for counting.
        reason: &'static str,
        /// For the log line.
        detail: String,
    },
}

/// The id of a message that does not carry one in its body, and of every dead letter: AMQP's, else the SHA-256 of the body.
#[must_use]
pub fn fallback_id(message: &Incoming<'_>) -> String {
    message.message_id.filter(|id| !id.is_empty()).map_or_else(|| body_digest(message.body), str::to_owned)
}

fn body_digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::from("sha256-"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An event of ours, ready to be published in structured mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The CloudEvents id; also AMQP's `message_id`.
    pub id: String,
    /// The CloudEvents source.
    pub source: String,
    /// The CloudEvents type; also AMQP's `type`.
    pub kind: &'static str,
    /// The asset; also AMQP's `correlation_id`.
    pub subject: String,
    /// The routing key.
    pub routing_key: String,
    /// The trace that it belongs to (W3C Trace Context).
    pub traceparent: Option<String>,
    /// The whole event as JSON.
    pub body: Vec<u8>,
}

impl OutgoingEvent {
    /// The media type of structured mode.
    pub const CONTENT_TYPE: &'static str = "application/cloudevents+json; charset=utf-8";

    /// The required attributes, repeated as headers so that a subscriber can filter without reading the body.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, String); 4] {
        [
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", self.id.clone()),
            ("ce-source", self.source.clone()),
            ("ce-type", self.kind.to_owned()),
        ]
    }
}
