//! The broker as the benchmark uses it: fills the work queue, watches the parked queue grow, counts events.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use serde_json::json;
use uuid::Uuid;

use crate::amqp::{Amqp, Outgoing, Subscription};

/// The worker's queue.
pub(super) const WORK: &str = "replication.work";
/// Where it parks what it cannot use.
pub(super) const DEAD_EXCHANGE: &str = "replication.dlx";
/// With which key.
pub(super) const PARKED_KEY: &str = "parked.not-json";
/// Bytes of an unusable message.
pub(super) const UNUSABLE: usize = 600;
const PARKED: &str = "replication.parked";
/// Publishes at once while a queue is filled.
const FILLERS: usize = 200;
/// How often the parked queue is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A connection of the benchmark's own.
pub(super) struct Broker {
    channel: Channel,
    amqp: Amqp,
    _connection: Connection,
}

/// A message that the worker has parked.
pub(super) struct Parked {
    pub(super) properties: BasicProperties,
}

/// Our events, counted.
pub(super) struct Events(Subscription);

impl Broker {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, amqp: Amqp::connect(url).await?, _connection: connection })
    }

    /// So many unusable messages into the work queue.
    pub(super) async fn fill(&self, messages: u32) -> Result<()> {
        let body = vec![b'x'; UNUSABLE];
        let publish = |number: u32| {
            let properties =
                BasicProperties::default().with_delivery_mode(2).with_message_id(format!("{number}").into());
            let body = &body;
            async move {
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let key = "media.encoding.finished.benchmark";
                let sent = self.channel.basic_publish("media.events".into(), key.into(), options, body, properties);
                ensure!(matches!(sent.await?.await?, Confirmation::Ack(None)), "the work queue takes nothing");
                Ok(())
            }
        };
        stream::iter((0..messages).map(publish)).buffer_unordered(FILLERS).try_collect().await
    }

    /// Removes what is in the work queue and in the parked one.
    pub(super) async fn empty(&self) -> Result<()> {
        for queue in [WORK, PARKED] {
            self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
        }
        Ok(())
    }

    /// Waits for a parked message and takes it out.
    pub(super) async fn take_parked(&self) -> Result<Parked> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if let Some(got) = self.channel.basic_get(PARKED.into(), BasicGetOptions::default()).await? {
                got.delivery.ack(BasicAckOptions::default()).await?;
                return Ok(Parked { properties: got.delivery.properties });
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("nothing was parked within {LIMIT:?}")
    }

    /// Messages a second, between the first and the last tenth: neither the start nor the end of the consumer counts.
    pub(super) async fn rate_of_parking(&self, messages: u32) -> Result<f64> {
        let (tenth, end) = (messages / 10, Instant::now() + LIMIT);
        let mut first = None;
        while Instant::now() < end {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let queue = self.channel.queue_declare(PARKED.into(), options, FieldTable::default()).await?;
            let (count, now) = (queue.message_count(), Instant::now());
            match first {
                None if count >= tenth => first = Some((count, now)),
                Some((from, since)) if count >= messages - tenth => {
                    return Ok(f64::from(count - from) / (now - since).as_secs_f64());
                }
                _ => {}
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("{messages} messages were not parked within {LIMIT:?}")
    }

    /// Tells the worker that an asset is encoded.
    pub(super) async fn announce(&self, asset: &str) -> Result<()> {
        let id = Uuid::new_v4().to_string();
        let body = json!({
            "specversion": "1.0", "id": id, "source": "/encoders/benchmark", "type": "media.encoding.finished.v1",
            "data": { "site": "west", "asset": { "id": asset } },
        });
        let message = Outgoing { body: body.to_string().into(), message_id: Some(id), ..Outgoing::default() };
        self.amqp.publish("media.events", "media.encoding.finished.benchmark", message).await
    }

    /// Listens to the worker's events from now on.
    pub(super) async fn events(&self) -> Result<Events> {
        Ok(Events(self.amqp.subscribe("media.replication", "#").await?))
    }
}

impl Events {
    /// Waits for so many; gives the time from the first to the last.
    pub(super) async fn count(&mut self, events: usize) -> Result<Duration> {
        let next = async |events: &mut Subscription| -> Result<()> {
            let event = tokio::time::timeout(LIMIT, events.next()).await;
            let event = event.with_context(|| format!("no event within {LIMIT:?}"))??;
            ensure!(event.kind.as_deref() == Some("media.asset.replicated.v1"), "a job failed: {event:?}");
            Ok(())
        };
        next(&mut self.0).await?;
        let since = Instant::now();
        for _ in 1..events {
            next(&mut self.0).await?;
        }
        Ok(since.elapsed())
    }
}
