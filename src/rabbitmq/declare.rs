//! Makes the topology at the broker, or looks whether it is there.

use std::collections::BTreeMap;
use std::fmt;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind as AmqpKind};

use super::connection::Connection;
use super::error::{cause, soft_error};
use super::message::short;
use super::migrate::holding_queue;
use super::report::{Finding, Kind, NotCompared, State, TopologyReport};
use super::{Binding, Exchange, ExchangeKind, HeaderValue, Headers, PublishError, Queue, RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// Something to declare.
pub(super) enum Item {
    Exchange(Exchange),
    Queue(Queue),
}

impl Item {
    fn all(topology: &Topology) -> Vec<Self> {
        let queues = topology.queues().into_iter().map(Self::Queue);
        topology.exchanges().into_iter().map(Self::Exchange).chain(queues).collect()
    }

    fn found(&self, state: State) -> Finding {
        let (kind, name) = match self {
            Self::Exchange(exchange) => (Kind::Exchange, &exchange.name),
            Self::Queue(queue) => (Kind::Queue, &queue.name),
        };
        Finding { kind, name: name.clone(), state }
    }

    fn is_foreign(&self) -> bool {
        matches!(self, Self::Exchange(Exchange { foreign: true, .. }))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(exchange) => write!(f, "exchange {}", exchange.name),
            Self::Queue(queue) => write!(f, "queue {}", queue.name),
        }
    }
}

/// Makes every exchange, queue and binding that is missing, over a connection of its own. Safe to repeat. What exists is
/// compared first: where anything is different, nothing is made.
///
/// # Errors
/// [`RabbitmqError::Different`] when something exists with other properties; else when the broker cannot be used, or the
/// user may not configure or bind.
pub async fn apply(settings: &RabbitmqSettings) -> Result<TopologyReport, RabbitmqError> {
    let mut declarer = Declarer::open(settings).await?;
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
    let mut declarer = Declarer::open(settings).await?;
    let result = declarer.check(&Topology::new(settings)).await;
    declarer.close().await;
    result
}

/// What the answer to a queue's declaration tells; nothing of an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) ready: u32,
    pub(super) consumers: u32,
}

/// What [`Declarer::look`] found, and the first refusal for want of permission.
struct Looked {
    report: TopologyReport,
    not_permitted: Option<RabbitmqError>,
}

/// A connection to declare over. Its channel is used until a refusal closes it.
pub(super) struct Declarer {
    connection: Connection,
    channel: Option<Channel>,
}

impl Declarer {
    pub(super) async fn open(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        Ok(Self { connection: Connection::open(settings, "stream-replicator topology").await?, channel: None })
    }

    pub(super) async fn close(&self) {
        self.connection.close(self.connection.calls().timeout()).await;
    }

    async fn apply(&mut self, topology: &Topology) -> Result<TopologyReport, RabbitmqError> {
        let Looked { mut report, not_permitted } = self.look(topology).await?;
        let different: Vec<_> = report.different().map(|(finding, _)| finding.clone()).collect();
        if !different.is_empty() {
            return Err(self.connection.calls().different(different));
        }
        // Who may not compare may not declare or bind either.
        if let Some(refusal) = not_permitted {
            return Err(refusal);
        }
        for (item, finding) in Item::all(topology).iter().zip(&mut report.findings) {
            if finding.state == State::Missing {
                self.make(item).await?;
                finding.state = State::Made;
            }
        }
        for binding in topology.bindings() {
            self.bind(&binding).await?;
        }
        Ok(report)
    }

    async fn check(&mut self, topology: &Topology) -> Result<TopologyReport, RabbitmqError> {
        let mut report = self.look(topology).await?.report;
        for queue in topology.queues() {
            let name = holding_queue(&queue.name);
            if let Some(Counts { ready, .. }) = self.find_counts(&name).await? {
                report.findings.push(Finding { kind: Kind::Queue, name, state: State::LeftOver(ready) });
            }
        }
        Ok(report)
    }

    async fn look(&mut self, topology: &Topology) -> Result<Looked, RabbitmqError> {
        let mut looked = Looked { report: TopologyReport::default(), not_permitted: None };
        for item in Item::all(topology) {
            let (state, refusal) = self.compare(&item).await?;
            looked.not_permitted = looked.not_permitted.or(refusal);
            looked.report.findings.push(item.found(state));
        }
        Ok(looked)
    }

    /// How something is, and the refusal where this user may not know.
    pub(super) async fn compare(&mut self, item: &Item) -> Result<(State, Option<RabbitmqError>), RabbitmqError> {
        match self.attempt(item, true).await? {
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => return Ok((State::Missing, None)),
            Err(error) => return Err(self.refused(item, &error)),
            Ok(_) if item.is_foreign() => return Ok((State::NotCompared(NotCompared::Foreign), None)),
            Ok(_) => {}
        }
        let Err(error) = self.attempt(item, false).await? else { return Ok((State::Same, None)) };
        let refused = self.refused(item, &error);
        match soft_error(&error) {
            Some(AMQPSoftError::PRECONDITIONFAILED) => Ok((State::Different(cause(&error)), None)),
            Some(AMQPSoftError::ACCESSREFUSED) => Ok((State::NotCompared(NotCompared::NoPermission), Some(refused))),
            _ => Err(refused),
        }
    }

    /// How many messages are ready in a queue, and how many consumers it has; `None` where there is no such queue.
    pub(super) async fn find_counts(&mut self, queue: &str) -> Result<Option<Counts>, RabbitmqError> {
        let item = Item::Queue(Queue { name: queue.to_owned(), arguments: BTreeMap::new() });
        match self.attempt(&item, true).await? {
            Ok(counts) => Ok(Some(counts)),
            Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => Ok(None),
            Err(error) => Err(self.refused(&item, &error)),
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) async fn make(&mut self, item: &Item) -> Result<(), RabbitmqError> {
        self.attempt(item, false).await?.map(drop).map_err(|error| self.refused(item, &error))
    }

    fn refused(&self, item: &Item, error: &lapin::Error) -> RabbitmqError {
        self.connection.calls().refused(&format!("declare {item}"), error)
    }

    async fn channel(&mut self) -> Result<Channel, RabbitmqError> {
        match self.channel.take() {
            Some(channel) => Ok(channel),
            None => self.connection.channel().await,
        }
    }

    /// One declaration. The inner error is the broker's answer, which has closed the channel.
    async fn attempt(&mut self, item: &Item, passive: bool) -> Result<lapin::Result<Counts>, RabbitmqError> {
        let channel = self.channel().await?;
        let what = format!("declare {item}");
        let answer = async { Ok(declare(&channel, item, passive).await) };
        let answer = self.connection.calls().call(&what, answer).await?;
        if answer.is_ok() {
            self.channel = Some(channel);
        }
        Ok(answer)
    }

    pub(super) async fn bind(&mut self, binding: &Binding) -> Result<(), RabbitmqError> {
        let channel = self.channel().await?;
        let what = format!("bind queue {} to exchange {}", binding.queue, binding.exchange);
        let bound = async {
            let (queue, exchange) = (name(&binding.queue)?, name(&binding.exchange)?);
            let key = name(&binding.key)?;
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
        };
        self.connection.calls().call(&what, bound).await?;
        self.channel = Some(channel);
        Ok(())
    }
}

async fn declare(channel: &Channel, item: &Item, passive: bool) -> lapin::Result<Counts> {
    match item {
        Item::Exchange(exchange) => {
            let kind = match exchange.kind {
                ExchangeKind::Direct => AmqpKind::Direct,
                ExchangeKind::Fanout => AmqpKind::Fanout,
                ExchangeKind::Topic => AmqpKind::Topic,
            };
            let options = ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name(&exchange.name)?, kind, options, table(exchange.arguments.iter())?).await?;
            Ok(Counts::default())
        }
        Item::Queue(queue) => {
            let options = QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
            let queue = channel.queue_declare(name(&queue.name)?, options, table(queue.arguments.iter())?).await?;
            Ok(Counts { ready: queue.message_count(), consumers: queue.consumer_count() })
        }
    }
}

pub(super) fn table<'a>(
    arguments: impl Iterator<Item = (&'a &'static str, &'a HeaderValue)>,
) -> lapin::Result<FieldTable> {
    let arguments: Headers = arguments.map(|(name, value)| (*name, value.clone())).collect();
    arguments.to_table().map_err(too_long)
}

pub(super) fn name(text: &str) -> lapin::Result<lapin::types::ShortString> {
    short("a name or key of the topology", text).map_err(too_long)
}

fn too_long(error: PublishError) -> lapin::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidInput, error).into()
}
