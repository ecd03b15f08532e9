//! Reads the log of everything that was set aside, a stream, from its beginning to its end, or from its end on.

use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::{Instant, timeout};

use super::Letter;
use crate::rabbitmq::connection::Connection;
use crate::rabbitmq::error::soft_error;
use crate::rabbitmq::message::short;
use crate::rabbitmq::{RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// Entries that the broker sends ahead; every quarter of them is acknowledged, which lets it send more.
const PREFETCH: u16 = 1_000;
/// A log that is silent for so long, while the broker answers, has come to its end.
const SILENCE: Duration = Duration::from_millis(250);
/// An end that moves, because others write, is not followed for longer.
const MOVING_END: Duration = Duration::from_secs(2);
/// The stream's own header with the position of an entry.
const OFFSET: &str = "x-stream-offset";

/// One entry of the log. Audit records are entries, too: only the routing key tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Its position.
    pub offset: u64,
    /// What was written.
    pub letter: Letter,
}

/// Where to begin.
enum From {
    /// `last` (the last chunk) or `next`.
    Word(&'static str),
    /// At this entry.
    Position(u64),
}

/// The log, open for reading. Nothing is changed by it: a stream keeps what is read.
pub struct DeadLog {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
    unacknowledged: u16,
    end: Option<End>,
}

/// How the end is recognised; AMQP does not tell where a stream ends.
struct End {
    /// The first entry of what was the last chunk when we began: the end is not before it.
    last_chunk: Option<u64>,
    reached: Option<Instant>,
}

impl DeadLog {
    /// Opens it for reading from a position to the last entry; 0 is before the first, whichever that is by now.
    ///
    /// # Errors
    /// When the broker cannot be used, there is no log, or what has its name is no stream.
    pub async fn read(settings: &RabbitmqSettings, from: u64) -> Result<Self, RabbitmqError> {
        let connection = Connection::open(settings, "stream-replicator dead letters").await?;
        let queue = Topology::new(settings).dead_log();
        let opened = async {
            let last_chunk = find_last_chunk(&connection, &queue).await?;
            let (channel, consumer) = consume(&connection, &queue, From::Position(from), PREFETCH).await?;
            Ok((channel, consumer, last_chunk))
        };
        match opened.await {
            Ok((channel, consumer, last_chunk)) => {
                let end = Some(End { last_chunk, reached: None });
                Ok(Self { connection, channel, consumer, unacknowledged: 0, end })
            }
            Err(error) => {
                connection.close(connection.calls().timeout()).await;
                Err(error)
            }
        }
    }

    /// Opens it for what is written from now on; has no end.
    ///
    /// # Errors
    /// When the broker cannot be used, there is no log, or what has its name is no stream.
    pub async fn follow(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        let connection = Connection::open(settings, "stream-replicator dead letters").await?;
        let queue = Topology::new(settings).dead_log();
        let opened = async {
            find_last_chunk(&connection, &queue).await?;
            consume(&connection, &queue, From::Word("next"), PREFETCH).await
        };
        match opened.await {
            Ok((channel, consumer)) => Ok(Self { connection, channel, consumer, unacknowledged: 0, end: None }),
            Err(error) => {
                connection.close(connection.calls().timeout()).await;
                Err(error)
            }
        }
    }

    /// The next entry; `None` at the end. Safe to cancel.
    ///
    /// # Errors
    /// When the broker ends the reading.
    pub async fn next(&mut self) -> Result<Option<LogEntry>, RabbitmqError> {
        loop {
            if self.end.as_ref().is_some_and(End::has_moved_too_long) {
                return Ok(None);
            }
            let waited = if self.end.is_some() { SILENCE } else { Duration::MAX };
            match timeout(waited, self.consumer.next()).await {
                Ok(Some(Ok(delivery))) => return self.entry(delivery).await.map(Some),
                Ok(Some(Err(error))) => return Err(self.connection.calls().refused("read the log", &error)),
                Ok(None) => return Err(RabbitmqError::SessionEnded("the broker stopped the reading".to_owned())),
                Err(_) => {
                    // Silence counts only from a broker that answers, on the very channel that would deliver.
                    answer(&self.connection, &self.channel, PREFETCH).await?;
                    if self.end.as_ref().is_some_and(End::may_be_here) {
                        return match timeout(Duration::ZERO, self.consumer.next()).await {
                            Ok(Some(Ok(delivery))) => self.entry(delivery).await.map(Some),
                            _ => Ok(None),
                        };
                    }
                }
            }
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.connection.close(self.connection.calls().timeout()).await;
    }

    async fn entry(&mut self, delivery: Delivery) -> Result<LogEntry, RabbitmqError> {
        self.unacknowledged += 1;
        if self.unacknowledged >= PREFETCH / 4 {
            let all = BasicAckOptions { multiple: true };
            self.connection.calls().call("read on in the log", delivery.acker.ack(all)).await?;
            self.unacknowledged = 0;
        }
        let offset = offset(&delivery).unwrap_or_default();
        if let Some(end) = &mut self.end
            && end.last_chunk.is_some_and(|chunk| offset >= chunk)
        {
            end.reached.get_or_insert_with(Instant::now);
        }
        Ok(LogEntry { offset, letter: Letter::new(delivery) })
    }
}

impl End {
    fn may_be_here(&self) -> bool {
        self.last_chunk.is_none() || self.reached.is_some()
    }

    fn has_moved_too_long(&self) -> bool {
        self.reached.is_some_and(|reached| reached.elapsed() > MOVING_END)
    }
}

/// Where the last chunk of the stream begins; `None` while it is empty. What is no stream is recognised by a message
/// without a position, and that one goes back at once: nothing but a stream is read.
async fn find_last_chunk(connection: &Connection, queue: &str) -> Result<Option<u64>, RabbitmqError> {
    ensure_there(connection, queue).await?;
    let (channel, mut consumer) = consume(connection, queue, From::Word("last"), 1).await?;
    let mut first = None;
    // Twice, as the first answer may have overtaken the delivery.
    for _ in 0..2 {
        match timeout(SILENCE, consumer.next()).await {
            Ok(Some(Ok(delivery))) => {
                first = Some(delivery);
                break;
            }
            Ok(Some(Err(error))) => return Err(connection.calls().refused("read the log", &error)),
            Ok(None) => return Err(RabbitmqError::SessionEnded("the broker stopped the reading".to_owned())),
            Err(_) => answer(connection, &channel, 1).await?,
        }
    }
    let position = first.as_ref().map(offset);
    connection.calls().call("close a channel", channel.close(200, "OK".into())).await?;
    match position {
        None => Ok(None),
        Some(Some(offset)) => Ok(Some(offset)),
        Some(None) => Err(RabbitmqError::NoStream { queue: queue.to_owned() }),
    }
}

/// A passive declaration, which touches nothing.
async fn ensure_there(connection: &Connection, queue: &str) -> Result<(), RabbitmqError> {
    let channel = connection.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(name(queue)?, options, FieldTable::default());
    match timeout(connection.calls().timeout(), declared).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => {
            Err(RabbitmqError::NoLog { queue: queue.to_owned() })
        }
        Ok(Err(error)) => Err(connection.calls().refused(&format!("look at queue {queue}"), &error)),
        Err(_) => Err(connection.calls().timed_out(&format!("look at queue {queue}"))),
    }
}

/// Streams want a prefetch, and take the place to begin as an argument (RabbitMQ, streams, "consuming").
async fn consume(
    connection: &Connection,
    queue: &str,
    from: From,
    prefetch: u16,
) -> Result<(Channel, Consumer), RabbitmqError> {
    let channel = connection.channel().await?;
    let mut arguments = FieldTable::default();
    let from = match from {
        From::Word(word) => AMQPValue::LongString(word.into()),
        From::Position(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
    };
    arguments.insert(OFFSET.into(), from);
    let queue_name = name(queue)?;
    let consumed = async {
        channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
        channel.basic_consume(queue_name, ShortString::default(), BasicConsumeOptions::default(), arguments).await
    };
    match connection.calls().call(&format!("read stream {queue}"), consumed).await {
        Ok(consumer) => Ok((channel, consumer)),
        // Other kinds of queues refuse the argument.
        Err(RabbitmqError::Refused { cause, .. }) if cause.contains(OFFSET) => {
            Err(RabbitmqError::NoStream { queue: queue.to_owned() })
        }
        Err(error) => Err(error),
    }
}

/// Asks the broker for something that changes nothing.
async fn answer(connection: &Connection, channel: &Channel, prefetch: u16) -> Result<(), RabbitmqError> {
    let asked = channel.basic_qos(prefetch, BasicQosOptions { global: false });
    connection.calls().call("answer while the log is read", asked).await
}

fn offset(delivery: &Delivery) -> Option<u64> {
    match delivery.properties.headers().as_ref()?.inner().get(OFFSET)? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        AMQPValue::LongInt(offset) => u64::try_from(*offset).ok(),
        AMQPValue::LongUInt(offset) => Some((*offset).into()),
        _ => None,
    }
}

fn name(queue: &str) -> Result<ShortString, RabbitmqError> {
    short("a queue's name", queue).map_err(|error| RabbitmqError::SessionEnded(error.to_string()))
}
