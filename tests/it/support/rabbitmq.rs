//! A virtual host of one story at the shared broker, with settings for it.

use std::time::Duration;

use anyhow::{Context, Result};
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use stream_replicator::rabbitmq::{Deliveries, Delivery, Message};
use stream_replicator::settings::{BrokerUrl, RabbitmqSettings, Secret, TopologyMode};
use testbed::process::{Vhost, shared};
use testbed::tcp_proxy::TcpProxy;

/// How long anything may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for something that must happen.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(DEADLINE, event).await.with_context(|| format!("waited too long: {what}"))
}

/// The settings that a story runs with, for the broker at `url`.
pub fn settings(url: &str) -> RabbitmqSettings {
    RabbitmqSettings {
        url: Some(BrokerUrl::new(Secret::new(url))),
        url_file: None,
        authentication: stream_replicator::settings::Authentication::Password,
        ca_file: None,
        certificate_file: None,
        certificate_key_file: None,
        events_exchange: "media.events".to_owned(),
        binding_key: "media.encoding.finished.#".to_owned(),
        outgoing_exchange: "media.replication".to_owned(),
        prefix: "replication".to_owned(),
        topology: TopologyMode::Apply,
        retry_delays_seconds: vec![1, 3_600],
        timeout_seconds: 20,
        heartbeat_seconds: 30,
        max_blocked_seconds: 60,
    }
}

/// A fresh virtual host and the settings for it.
pub async fn fresh_vhost() -> Result<(Vhost, RabbitmqSettings)> {
    let vhost = shared().await?.vhost().await?;
    let settings = settings(&vhost.amqp_url());
    Ok((vhost, settings))
}

/// The next delivery, which must come.
pub async fn next(deliveries: &mut Deliveries) -> Result<Delivery> {
    within("the next delivery", deliveries.next()).await?.context("the session has ended")
}

/// Waits until a queue holds that many messages that nobody has taken. The broker tells nobody about it, so it is asked.
pub async fn depth_becomes(vhost: &Vhost, queue: &str, messages: u32) -> Result<()> {
    let asking = async {
        while vhost.queue_depth(queue).await? != Some(messages) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    within(&format!("{messages} messages in {queue}"), asking).await?
}

/// A message with a body and an id.
pub fn message(id: &str) -> Message {
    Message { body: format!("body of {id}").into(), message_id: Some(id.to_owned()), ..Message::default() }
}

/// What an operator does at the broker beside us.
pub struct Operator(Connection);

impl Operator {
    pub async fn connect(vhost: &Vhost) -> Result<Self> {
        Ok(Self(Connection::connect(&vhost.amqp_url(), ConnectionProperties::default()).await?))
    }

    pub async fn delete_queue(&self, queue: &str) -> Result<()> {
        let channel = self.0.create_channel().await?;
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        Ok(())
    }

    pub async fn delete_exchange(&self, exchange: &str) -> Result<()> {
        let channel = self.0.create_channel().await?;
        channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await?;
        Ok(())
    }

    pub async fn bind(&self, queue: &str, exchange: &str, key: &str) -> Result<()> {
        let channel = self.0.create_channel().await?;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none).await?;
        Ok(())
    }

    pub async fn unbind(&self, queue: &str, exchange: &str, key: &str) -> Result<()> {
        let channel = self.0.create_channel().await?;
        channel.queue_unbind(queue.into(), exchange.into(), key.into(), FieldTable::default()).await?;
        Ok(())
    }

    /// An exchange of that name with a queue that refuses everything after its first message.
    pub async fn declare_tiny_queue(&self, name: &str) -> Result<()> {
        let channel = self.0.create_channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        let (durable, none) = (QueueDeclareOptions { durable: true, ..Default::default() }, FieldTable::default());
        channel.queue_declare(name.into(), durable, arguments).await?;
        let options = ExchangeDeclareOptions::default();
        channel.exchange_declare(name.into(), ExchangeKind::Fanout, options, none.clone()).await?;
        channel.queue_bind(name.into(), name.into(), "".into(), QueueBindOptions::default(), none).await?;
        Ok(())
    }
}

/// The virtual host as it is reached through a proxy.
pub fn url_through(proxy: &TcpProxy, vhost: &Vhost) -> String {
    let (user, password, name) = (vhost.user(), vhost.password(), vhost.name());
    format!("amqp://{user}:{password}@127.0.0.1:{}/{name}", proxy.port())
}
