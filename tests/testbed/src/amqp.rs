//! A small AMQP client: the encoder that publishes, the subscriber that listens, the operator who looks into a queue.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use tokio::time::timeout;

/// How long a broker may take to greet and to open a channel.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// A connection with one channel.
#[derive(Debug)]
pub struct Amqp {
    channel: Channel,
    _connection: Connection,
}

/// A message to be published.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body.
    pub body: Bytes,
    /// AMQP's `content-type`.
    pub content_type: Option<String>,
    /// AMQP's `message-id`.
    pub message_id: Option<String>,
    /// Headers with text values.
    pub headers: Vec<(String, String)>,
    /// Headers of any other kind.
    pub other_headers: FieldTable,
}

/// A message that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The body.
    pub body: Vec<u8>,
    /// AMQP's `content-type`.
    pub content_type: Option<String>,
    /// AMQP's `message-id`.
    pub message_id: Option<String>,
    /// AMQP's `correlation-id`.
    pub correlation_id: Option<String>,
    /// AMQP's `type`.
    pub kind: Option<String>,
    /// The key it was published with.
    pub routing_key: String,
    /// All headers, their values as text.
    pub headers: BTreeMap<String, String>,
}

/// Looks at a message that was received; what it refuses is an error of whoever waits for one.
pub type Check = fn(&Received) -> Result<()>;

/// A queue of this connection's own, bound to an exchange.
#[derive(Debug)]
pub struct Subscription {
    consumer: Consumer,
    check: Option<Check>,
}

impl Amqp {
    /// Connects with publisher confirms on.
    ///
    /// # Errors
    /// When the broker cannot be reached, refuses, or does not answer in time: lapin waits for ever for one that dies while it
    /// is greeted.
    pub async fn connect(url: &str) -> Result<Self> {
        let connected = async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await;
            let connection = connection.context("cannot connect to the broker")?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { channel, _connection: connection })
        };
        timeout(CONNECT_LIMIT, connected).await.context("the broker does not answer")?
    }

    /// Publishes, and waits until the broker has stored it in at least one queue.
    ///
    /// # Errors
    /// When no queue took it or the broker refuses it.
    pub async fn publish(&self, exchange: &str, key: &str, message: Outgoing) -> Result<()> {
        let mut headers = message.other_headers;
        for (name, value) in &message.headers {
            headers.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
        }
        let mut properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        if let Some(text) = &message.content_type {
            properties = properties.with_content_type(text.as_str().into());
        }
        if let Some(text) = &message.message_id {
            properties = properties.with_message_id(text.as_str().into());
        }
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = self.channel.basic_publish(exchange.into(), key.into(), options, &message.body, properties);
        let confirmation = confirm.await?.await?;
        ensure!(matches!(confirmation, Confirmation::Ack(None)), "no queue took the message: {exchange} {key}");
        Ok(())
    }

    /// Listens to what `exchange` routes to `binding_key` from now on.
    ///
    /// # Errors
    /// When there is no such exchange.
    pub async fn subscribe(&self, exchange: &str, binding_key: &str) -> Result<Subscription> {
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let name = queue.name().clone();
        let bind = QueueBindOptions::default();
        self.channel.queue_bind(name.clone(), exchange.into(), binding_key.into(), bind, FieldTable::default()).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = self.channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
        Ok(Subscription { consumer, check: None })
    }

    /// Makes a durable quorum queue of that name which takes what `exchange` routes to `binding_key`: unlike a subscription
    /// it outlives this connection and the broker.
    ///
    /// # Errors
    /// When there is no such exchange.
    pub async fn bind_queue(&self, queue: &str, exchange: &str, binding_key: &str) -> Result<()> {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let mut quorum = FieldTable::default();
        quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        self.channel.queue_declare(queue.into(), durable, quorum).await?;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        self.channel.queue_bind(queue.into(), exchange.into(), binding_key.into(), options, none).await?;
        Ok(())
    }

    /// Takes one message out of a queue, for good; `None` when it is empty.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn take(&self, queue: &str) -> Result<Option<Received>> {
        let Some(got) = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await? else {
            return Ok(None);
        };
        got.delivery.ack(BasicAckOptions::default()).await?;
        Ok(Some(Received::read(got.delivery)))
    }
}

impl Subscription {
    /// Looks at each message before it is handed out.
    #[must_use]
    pub fn checked_by(self, check: Check) -> Self {
        Self { check: Some(check), ..self }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When the connection ends, or the message is not as it should be.
    pub async fn next(&mut self) -> Result<Received> {
        let delivery = self.consumer.next().await.context("the subscription ended")??;
        let message = Received::read(delivery);
        if let Some(check) = self.check {
            check(&message)?;
        }
        Ok(message)
    }
}

impl Received {
    fn read(delivery: lapin::message::Delivery) -> Self {
        let properties = &delivery.properties;
        let headers = properties.headers().iter().flat_map(|table| table.inner().iter());
        let shown = |value: &AMQPValue| match value {
            AMQPValue::LongString(text) => text.to_string(),
            AMQPValue::LongLongInt(number) => number.to_string(),
            AMQPValue::LongInt(number) => number.to_string(),
            AMQPValue::LongUInt(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Self {
            headers: headers.map(|(name, value)| (name.to_string(), shown(value))).collect(),
            content_type: properties.content_type().as_ref().map(ToString::to_string),
            message_id: properties.message_id().as_ref().map(ToString::to_string),
            correlation_id: properties.correlation_id().as_ref().map(ToString::to_string),
            kind: properties.kind().as_ref().map(ToString::to_string),
            routing_key: delivery.routing_key.to_string(),
            body: delivery.data,
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("body is not JSON")
    }
}
