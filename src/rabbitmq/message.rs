//! A message as a value, and its way to and from AMQP's properties.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use time::OffsetDateTime;

use super::{Headers, PublishError};

/// AMQP's delivery mode of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A message as received, or to be sent. Properties that bind it to one journey (expiration, priority, reply-to, user
/// id) are left out on purpose: they must not travel on when it is published again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The body, untouched.
    pub body: Bytes,
    /// The headers.
    pub headers: Headers,
    /// AMQP's `message-id`: stays the same for ever.
    pub message_id: Option<String>,
    /// AMQP's `correlation-id`.
    pub correlation_id: Option<String>,
    /// AMQP's `content-type`.
    pub content_type: Option<String>,
    /// AMQP's `content-encoding`: the body means nothing without it.
    pub content_encoding: Option<String>,
    /// AMQP's `type`.
    pub kind: Option<String>,
    /// AMQP's `timestamp`; the wire has whole seconds.
    pub timestamp: Option<OffsetDateTime>,
}

impl Message {
    /// Reads what lapin received.
    pub(super) fn from_amqp(properties: &BasicProperties, body: Vec<u8>) -> Self {
        let text = |text: &Option<ShortString>| text.as_ref().map(ToString::to_string);
        let at = |seconds: u64| OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok();
        Self {
            body: Bytes::from(body),
            headers: properties.headers().as_ref().map(Headers::from_table).unwrap_or_default(),
            message_id: text(properties.message_id()),
            correlation_id: text(properties.correlation_id()),
            content_type: text(properties.content_type()),
            content_encoding: text(properties.content_encoding()),
            kind: text(properties.kind()),
            timestamp: properties.timestamp().and_then(at),
        }
    }

    /// The properties to publish it with: persistent, and only the headers that may travel on.
    pub(super) fn properties(&self) -> Result<BasicProperties, PublishError> {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_headers(self.headers.for_republishing().to_table()?);
        if let Some(id) = &self.message_id {
            properties = properties.with_message_id(short("the message id", id)?);
        }
        if let Some(id) = &self.correlation_id {
            properties = properties.with_correlation_id(short("the correlation id", id)?);
        }
        if let Some(content_type) = &self.content_type {
            properties = properties.with_content_type(short("the content type", content_type)?);
        }
        if let Some(encoding) = &self.content_encoding {
            properties = properties.with_content_encoding(short("the content encoding", encoding)?);
        }
        if let Some(kind) = &self.kind {
            properties = properties.with_type(short("the type", kind)?);
        }
        if let Some(seconds) = self.timestamp.and_then(|at| u64::try_from(at.unix_timestamp()).ok()) {
            properties = properties.with_timestamp(seconds);
        }
        Ok(properties)
    }
}

/// A short string. lapin's `From` panics above 255 bytes, so that everything passes here.
pub(super) fn short(field: &'static str, text: &str) -> Result<ShortString, PublishError> {
    ShortString::try_new(text).map_err(|_| PublishError::TooLong { field, bytes: text.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_wire() {
        let message = Message {
            body: Bytes::from_static(b"{}"),
            headers: [("x-replication-attempt", 2_i64)].into_iter().collect(),
            message_id: Some("id".to_owned()),
            correlation_id: Some("asset".to_owned()),
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("gzip".to_owned()),
            kind: Some("media.encoding.finished".to_owned()),
            timestamp: OffsetDateTime::from_unix_timestamp(1_700_000_000).ok(),
        };
        let properties = message.properties().unwrap();
        assert_eq!(*properties.delivery_mode(), Some(PERSISTENT));
        assert_eq!(Message::from_amqp(&properties, b"{}".to_vec()), message);
    }

    #[test]
    fn an_id_that_amqp_cannot_hold_is_an_error() {
        let message = Message { message_id: Some("i".repeat(256)), ..Message::default() };
        assert_eq!(message.properties(), Err(PublishError::TooLong { field: "the message id", bytes: 256 }));
    }
}
