//! Makes the topology at the broker, or looks whether it is there.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind as AmqpKind};

use super::connection::Connection;
use super::error::{cause, soft_error};
use super::message::short;
use super::{Binding, Exchange, ExchangeKind, HeaderValue, Headers, PublishError, Queue, RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// What [`check`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopologyReport {
    /// What does not exist, such as `queue replication.work`.
    pub missing: Vec<String>,
    /// What exists with other properties, and what the broker says about it; it names one difference at a time.
    pub different: Vec<String>,
    /// What exists, while the user may not compare its properties.
    pub not_compared: Vec<String>,
}

impl TopologyReport {
    /// Whether a worker can start.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.different.is_empty()
    }
}

/// Something to declare.
enum Item {
    Exchange(Exchange),
    Queue(Queue),
}

impl Item {
    fn all(topology: &Topology) -> Vec<Self> {
        let queues = topology.queues().into_iter().map(Self::Queue);
        topology.exchanges().into_iter().map(Self::Exchange).chain(queues).collect()
    }

    fn name(&self) -> String {
        match self {
            Self::Exchange(exchange) => format!("exchange {}", exchange.name),
            Self::Queue(queue) => format!("queue {}", queue.name),
        }
    }

    fn is_foreign(&self) -> bool {
        matches!(self, Self::Exchange(Exchange { foreign: true, .. }))
    }
}

/// Declares every exchange, queue and binding, over a connection of its own. Safe to repeat.
///
/// # Errors
/// When the broker cannot be used, the user may not configure, or something exists with other properties.
pub async fn apply(settings: &RabbitmqSettings) -> Result<(), RabbitmqError> {
    let declarer = Declarer::open(settings).await?;
    let result = declarer.apply(&Topology::new(settings)).await;
    declarer.close().await;
    result
}

/// Looks for every exchange and queue, over a connection of its own, and changes nothing. A passive declaration accepts
/// any type and any arguments, so that what exists is then declared actively for the broker to compare; this needs the
/// permission to configure. Bindings cannot be looked at over AMQP.
///
/// # Errors
/// When the broker cannot be used.
pub async fn check(settings: &RabbitmqSettings) -> Result<TopologyReport, RabbitmqError> {
    let declarer = Declarer::open(settings).await?;
    let result = declarer.check(&Topology::new(settings)).await;
    declarer.close().await;
    result
}

struct Declarer {
    connection: Connection,
}

impl Declarer {
    async fn open(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        Ok(Self { connection: Connection::open(settings, "stream-replicator topology").await? })
    }

    async fn close(&self) {
        self.connection.close(self.connection.calls().timeout()).await;
    }

    async fn apply(&self, topology: &Topology) -> Result<(), RabbitmqError> {
        for item in Item::all(topology) {
            // The encoders' exchange is taken as it is.
            if item.is_foreign() && self.attempt(&item, true).await?.is_ok() {
                continue;
            }
            self.attempt(&item, false).await?.map_err(|error| self.refused(&item, &error))?;
        }
        for binding in topology.bindings() {
            self.bind(&binding).await?;
        }
        Ok(())
    }

    async fn check(&self, topology: &Topology) -> Result<TopologyReport, RabbitmqError> {
        let mut report = TopologyReport::default();
        for item in Item::all(topology) {
            if let Err(error) = self.attempt(&item, true).await? {
                match soft_error(&error) {
                    Some(AMQPSoftError::NOTFOUND) => report.missing.push(item.name()),
                    _ => return Err(self.refused(&item, &error)),
                }
                continue;
            }
            if item.is_foreign() {
                continue;
            }
            if let Err(error) = self.attempt(&item, false).await? {
                match soft_error(&error) {
                    Some(AMQPSoftError::PRECONDITIONFAILED) => {
                        report.different.push(format!("{}: {}", item.name(), cause(&error)));
                    }
                    Some(AMQPSoftError::ACCESSREFUSED) => report.not_compared.push(item.name()),
                    _ => return Err(self.refused(&item, &error)),
                }
            }
        }
        Ok(report)
    }

    fn refused(&self, item: &Item, error: &lapin::Error) -> RabbitmqError {
        self.connection.calls().refused(&format!("declare {}", item.name()), error)
    }

    /// One declaration on a channel of its own, as a refusal closes the channel. The inner error is the broker's answer.
    async fn attempt(&self, item: &Item, passive: bool) -> Result<lapin::Result<()>, RabbitmqError> {
        let channel = self.connection.channel().await?;
        let what = format!("declare {}", item.name());
        let answer = self.connection.calls().call(&what, async {
            let answer = declare(&channel, item, passive).await;
            Ok(match answer {
                Ok(()) => channel.close(200, "OK".into()).await,
                Err(error) => Err(error),
            })
        });
        answer.await
    }

    async fn bind(&self, binding: &Binding) -> Result<(), RabbitmqError> {
        let channel = self.connection.channel().await?;
        let what = format!("bind queue {} to exchange {}", binding.queue, binding.exchange);
        let calls = self.connection.calls();
        let bound = async {
            let (queue, exchange) = (name(&binding.queue)?, name(&binding.exchange)?);
            let key = name(&binding.key)?;
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
            channel.close(200, "OK".into()).await
        };
        calls.call(&what, bound).await
    }
}

async fn declare(channel: &Channel, item: &Item, passive: bool) -> lapin::Result<()> {
    match item {
        Item::Exchange(exchange) => {
            let kind = match exchange.kind {
                ExchangeKind::Direct => AmqpKind::Direct,
                ExchangeKind::Fanout => AmqpKind::Fanout,
                ExchangeKind::Topic => AmqpKind::Topic,
            };
            let options = ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name(&exchange.name)?, kind, options, table(exchange.arguments.iter())?).await
        }
        Item::Queue(queue) => {
            let options = QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name(&queue.name)?, options, table(queue.arguments.iter())?).await.map(|_| ())
        }
    }
}

fn table<'a>(arguments: impl Iterator<Item = (&'a &'static str, &'a HeaderValue)>) -> lapin::Result<FieldTable> {
    let arguments: Headers = arguments.map(|(name, value)| (*name, value.clone())).collect();
    arguments.to_table().map_err(too_long)
}

fn name(text: &str) -> lapin::Result<lapin::types::ShortString> {
    short("a name or key of the topology", text).map_err(too_long)
}

fn too_long(error: PublishError) -> lapin::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, error).into()
}
