//! Carries the messages of one queue into another: each is published, confirmed, and only then acknowledged.

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, ExchangeKind};
use uuid::Uuid;

use super::connection::Calls;
use super::declare::{Declarer, name};
use super::headers::is_brokers;
use super::migrate::MigrateError;
use super::{Binding, RabbitmqError};

/// In a stream's last message, so that whoever reads the stream knows where to stop.
const MARK: &str = "x-replication-moving-mark";
/// A stream is only delivered with a prefetch, and acknowledgements are its credit.
const PREFETCH: u16 = 100;

/// A channel with confirms, and a fanout exchange over which messages keep their routing keys.
pub(super) struct Carrier {
    channel: Channel,
    calls: Calls,
    exchange: ShortString,
}

impl Carrier {
    pub(super) async fn open(declarer: &Declarer, exchange: &str) -> Result<Self, RabbitmqError> {
        let (channel, calls) = (declarer.connection().channel().await?, declarer.connection().calls().clone());
        let exchange_name = calls.call("read a name", async { name(exchange) }).await?;
        let declared = async {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(exchange_name.clone(), ExchangeKind::Fanout, options, FieldTable::default()).await
        };
        calls.call(&format!("declare exchange {exchange}"), declared).await?;
        Ok(Self { channel, calls, exchange: exchange_name })
    }

    /// Carries everything from one queue to the other; says how many messages that were.
    pub(super) async fn carry(&self, from: &str, to: &str, is_stream: bool) -> Result<u64, MigrateError> {
        let turned = async {
            let (key, none) = (ShortString::default(), FieldTable::default());
            self.channel.queue_unbind(name(from)?, self.exchange.clone(), key.clone(), none.clone()).await?;
            self.channel.queue_bind(name(to)?, self.exchange.clone(), key, QueueBindOptions::default(), none).await
        };
        self.calls.call(&format!("bind queue {to}"), turned).await?;
        if is_stream { self.carry_stream(from, to).await } else { self.carry_queue(from, to).await }
    }

    async fn carry_queue(&self, from: &str, to: &str) -> Result<u64, MigrateError> {
        let what = format!("give a message of queue {from}");
        let mut carried = 0;
        loop {
            let got = async { self.channel.basic_get(name(from)?, BasicGetOptions::default()).await };
            let Some(got) = self.calls.call(&what, got).await? else { return Ok(carried) };
            self.store(&got.delivery, to).await?;
            self.acknowledge(&got.delivery).await?;
            carried += 1;
        }
    }

    /// Reads a stream from its first message to the mark that is set at its end.
    async fn carry_stream(&self, from: &str, to: &str) -> Result<u64, MigrateError> {
        let mark = Uuid::new_v4().to_string();
        let mut headers = FieldTable::default();
        headers.insert(name_of_mark(), AMQPValue::LongString(mark.as_str().into()));
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let key = self.calls.call("read a name", async { name(from) }).await?;
        self.publish(ShortString::default(), key, properties, b"", from).await?;

        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
        let consumed = async {
            let options = BasicConsumeOptions::default();
            self.channel.basic_consume(name(from)?, ShortString::default(), options, arguments).await
        };
        let what = format!("give the messages of queue {from}");
        let mut consumer = self.calls.call(&what, consumed).await?;
        let mut carried = 0;
        loop {
            let next = async { consumer.next().await.transpose() };
            let Some(delivery) = self.calls.call(&what, next).await? else {
                return Err(RabbitmqError::SessionEnded(format!("the broker stopped to {what}")).into());
            };
            match mark_of(&delivery) {
                Some(found) if found == mark.as_bytes() => {
                    self.acknowledge(&delivery).await?;
                    let cancelled = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
                    self.calls.call("stop the deliveries", cancelled).await?;
                    return Ok(carried);
                }
                // of an earlier run
                Some(_) => {}
                None => {
                    self.store(&delivery, to).await?;
                    carried += 1;
                }
            }
            self.acknowledge(&delivery).await?;
        }
    }

    /// Publishes a message as it came, but for what binds it to its last journey.
    async fn store(&self, delivery: &Delivery, to: &str) -> Result<(), MigrateError> {
        let properties = travelling(&delivery.properties);
        self.publish(self.exchange.clone(), delivery.routing_key.clone(), properties, &delivery.data, to).await
    }

    async fn publish(
        &self,
        exchange: ShortString,
        key: ShortString,
        properties: BasicProperties,
        body: &[u8],
        to: &str,
    ) -> Result<(), MigrateError> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let confirmed = async { self.channel.basic_publish(exchange, key, options, body, properties).await?.await };
        let reply = match self.calls.call("confirm a message", confirmed).await? {
            Confirmation::Ack(None) => return Ok(()),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => returned.reply_text.to_string(),
            Confirmation::Nack(None) => "it is full, or has no leader".to_owned(),
            Confirmation::NotRequested => "the channel is without confirms".to_owned(),
        };
        Err(MigrateError::NotTaken { queue: to.to_owned(), reply })
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), RabbitmqError> {
        let acknowledged = delivery.acker.ack(BasicAckOptions::default());
        match self.calls.call("take an acknowledgement", acknowledged).await? {
            true => Ok(()),
            false => Err(RabbitmqError::NotSettled),
        }
    }

    pub(super) async fn unbind(&self, queue: &str, binding: &Binding) -> Result<(), RabbitmqError> {
        let unbound = async {
            let (exchange, key) = (name(&binding.exchange)?, name(&binding.key)?);
            self.channel.queue_unbind(name(queue)?, exchange, key, FieldTable::default()).await
        };
        self.calls.call(&format!("unbind queue {queue}"), unbound).await
    }

    pub(super) async fn delete_queue(&self, queue: &str) -> Result<(), RabbitmqError> {
        let deleted = async { self.channel.queue_delete(name(queue)?, QueueDeleteOptions::default()).await };
        self.calls.call(&format!("delete queue {queue}"), deleted).await.map(drop)
    }

    pub(super) async fn delete_exchange(&self) -> Result<(), RabbitmqError> {
        let deleted = self.channel.exchange_delete(self.exchange.clone(), ExchangeDeleteOptions::default());
        self.calls.call(&format!("delete exchange {}", self.exchange), deleted).await
    }
}

fn name_of_mark() -> ShortString {
    MARK.into()
}

fn mark_of(delivery: &Delivery) -> Option<&[u8]> {
    match delivery.properties.headers().as_ref()?.inner().get(MARK)? {
        AMQPValue::LongString(mark) => Some(mark.as_bytes()),
        _ => None,
    }
}

/// Everything but the expiration and the user id, which the broker would act upon, the copies that `CC` asks for, and what
/// the broker wrote about earlier journeys: with its `x-death` a message can be taken for one that goes in circles.
fn travelling(from: &BasicProperties) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in from.headers().iter().flat_map(|headers| headers.inner()) {
        if !is_brokers(name.as_str()) && !["CC", "BCC"].contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    let mut to = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    macro_rules! keep {
        ($($get:ident $with:ident),*) => { $(if let Some(value) = from.$get() { to = to.$with(value.clone()); })* };
    }
    keep!(
        content_type with_content_type, content_encoding with_content_encoding, priority with_priority,
        correlation_id with_correlation_id, reply_to with_reply_to, message_id with_message_id,
        timestamp with_timestamp, kind with_type, app_id with_app_id
    );
    to
}
