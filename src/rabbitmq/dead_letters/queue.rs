//! The queue that holds letters: taking them out one by one, settling them, and giving back those that stay.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, Channel};
use tokio::time::{Instant, sleep, timeout};

use super::Letter;
use crate::rabbitmq::connection::{Calls, Connection};
use crate::rabbitmq::declare::table;
use crate::rabbitmq::error::{cause, soft_error};
use crate::rabbitmq::message::short;
use crate::rabbitmq::{RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// Letters that are given back together. RabbitMQ 3.10 keeps their order only up to 32 on their way: above, it gathers
/// them in a map. So the next ones follow when these are ready again.
const BATCH: usize = 30;
/// How long to wait for that: another one may take them as soon as they are ready, and then they are never seen.
const BATCH_PATIENCE: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(2);

/// What becomes of letters that are taken and given back. Every time counts as a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandingBack {
    /// The queue has practically no delivery limit.
    Safe,
    /// It has one: the broker's words about it.
    Limited(String),
    /// The user may not compare the queue's arguments, or others than the limit differ.
    Unknown,
}

/// A queue of letters, open for taking them.
pub struct LetterQueue {
    connection: Connection,
    channel: Channel,
    queue: String,
}

/// A letter that the broker lends us until it is settled.
#[must_use = "acknowledge it or hand it back"]
pub struct Held {
    /// The letter.
    pub letter: Letter,
    tag: u64,
    acker: Acker,
    calls: Calls,
}

impl Held {
    /// How often it was delivered before (`x-delivery-count` of quorum queues).
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        let count = self.letter.message.headers.get_integer("x-delivery-count");
        count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }

    /// Takes it out of the queue for good. The broker (3.10, at least) keeps all but 32 of those that are under way to
    /// itself, and forgets them when the channel is closed: so no more than that between two calls of
    /// [`LetterQueue::take`], which waits for them.
    ///
    /// # Errors
    /// When the channel is gone: the letter is in the queue again.
    pub async fn ack(self) -> Result<(), RabbitmqError> {
        let acked = self.acker.ack(BasicAckOptions::default());
        settled(self.calls.call("take an acknowledgement", acked).await?)
    }
}

impl LetterQueue {
    /// Opens it, over a connection of its own.
    ///
    /// # Errors
    /// When the broker cannot be used, or there is no such queue.
    pub async fn open(settings: &RabbitmqSettings, queue: &str) -> Result<Self, RabbitmqError> {
        let connection = Connection::open(settings, "stream-replicator dead letters").await?;
        let opened = async {
            let queue = Self { channel: connection.channel().await?, connection, queue: queue.to_owned() };
            queue.depth().await.map(|_| queue)
        };
        opened.await
    }

    /// How many letters are ready: those that nobody holds. Changes nothing.
    ///
    /// # Errors
    /// When the broker does not answer, or there is no such queue.
    pub async fn depth(&self) -> Result<u32, RabbitmqError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = self.channel.queue_declare(self.name()?, options, FieldTable::default());
        let answer = self.connection.calls().call(&format!("look at queue {}", self.queue), asked).await?;
        Ok(answer.message_count())
    }

    /// Whether giving letters back may destroy them. The only question of AMQP that is answered with a queue's arguments
    /// is to declare it once more; that needs the permission to configure, and changes nothing where it exists.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn handing_back(&self, topology: &Topology) -> Result<HandingBack, RabbitmqError> {
        let Some(declared) = topology.queues().into_iter().find(|queue| queue.name == self.queue) else {
            return Ok(HandingBack::Unknown);
        };
        // A refusal closes the channel, so that it is one of its own.
        let channel = self.connection.channel().await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let what = format!("compare queue {}", self.queue);
        let calls = self.connection.calls();
        let arguments = table(declared.arguments.iter()).map_err(|error| calls.refused(&what, &error))?;
        match timeout(calls.timeout(), channel.queue_declare(self.name()?, options, arguments)).await {
            Ok(Ok(_)) => {
                calls.call("close a channel", channel.close(200, "OK".into())).await?;
                Ok(HandingBack::Safe)
            }
            Ok(Err(error)) => match soft_error(&error) {
                Some(AMQPSoftError::PRECONDITIONFAILED) => Ok(judge(&cause(&error))),
                Some(AMQPSoftError::ACCESSREFUSED) => Ok(HandingBack::Unknown),
                _ => Err(calls.refused(&what, &error)),
            },
            Err(_) => Err(calls.timed_out(&what)),
        }
    }

    /// Takes the next letter; `None` when none is ready. Every acknowledgement before it has then been carried out.
    ///
    /// # Errors
    /// When the broker refuses or does not answer; whatever is held returns to the queue then.
    pub async fn take(&self) -> Result<Option<Held>, RabbitmqError> {
        let calls = self.connection.calls();
        let got = self.channel.basic_get(self.name()?, BasicGetOptions::default());
        let got = calls.call(&format!("give a message of queue {}", self.queue), got).await?;
        Ok(got.map(|got| {
            let (tag, acker) = (got.delivery.delivery_tag, got.delivery.acker.clone());
            Held { letter: Letter::new(got.delivery), tag, acker, calls: calls.clone() }
        }))
    }

    /// Gives letters back in the order they were taken: before all that were never taken, behind those that were given back before.
    /// So the order of the queue stays where all up to the last one were taken.
    ///
    /// # Errors
    /// When the channel is gone: the letters are in the queue again, though in no certain order.
    pub async fn hand_back(&self, mut letters: Vec<Held>) -> Result<(), RabbitmqError> {
        letters.sort_by_key(|held| held.tag);
        let mut letters = letters.into_iter().peekable();
        while letters.peek().is_some() {
            let before = self.depth().await?;
            let mut batch = 0;
            for held in letters.by_ref().take(BATCH) {
                let nack = held.acker.nack(BasicNackOptions { multiple: false, requeue: true });
                settled(self.connection.calls().call("take a letter back", nack).await?)?;
                batch += 1;
            }
            let end = Instant::now() + BATCH_PATIENCE;
            while self.depth().await? < before + batch && Instant::now() < end {
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Closes it. The broker has then seen every acknowledgement; what is still held returns to the queue.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn close(self) -> Result<(), RabbitmqError> {
        let calls = self.connection.calls();
        let closed = calls.call("close a channel", self.channel.close(200, "OK".into())).await;
        self.connection.close(calls.timeout()).await;
        closed
    }

    fn name(&self) -> Result<ShortString, RabbitmqError> {
        short("a queue's name", &self.queue).map_err(|error| RabbitmqError::SessionEnded(error.to_string()))
    }
}

/// lapin answers `Ok(false)` where nothing was sent, because the channel is gone.
fn settled(sent: bool) -> Result<(), RabbitmqError> {
    if sent { Ok(()) } else { Err(RabbitmqError::NotSettled) }
}

/// Reads which argument the broker found to differ. A classic queue (no type at all) counts no deliveries.
fn judge(cause: &str) -> HandingBack {
    if cause.contains("'x-queue-type'") && (cause.contains("current is none") || cause.contains("'classic'")) {
        HandingBack::Safe
    } else if cause.contains("'x-delivery-limit'") {
        HandingBack::Limited(cause.to_owned())
    } else {
        HandingBack::Unknown
    }
}
