//! Deliveries from the work queue, and their settling.

use futures::StreamExt;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio_util::sync::CancellationToken;

use super::connection::Calls;
use super::session::End;
use super::{Message, RabbitmqError};

/// The deliveries of one session, in the broker's order.
pub struct Deliveries {
    consumer: Option<lapin::Consumer>,
    stopping: CancellationToken,
    calls: Calls,
    end: End,
}

impl Deliveries {
    pub(super) fn new(consumer: Option<lapin::Consumer>, stopping: CancellationToken, calls: Calls, end: End) -> Self {
        Self { consumer, stopping, calls, end }
    }

    /// The next delivery. `None`: the session has ended, or [`super::Session::stop_consuming`] was called; from then on it
    /// is always `None`. What the broker had sent ahead by then is handed back. A session that does not consume answers
    /// when it ends. Safe to cancel.
    pub async fn next(&mut self) -> Option<Delivery> {
        while let Some(consumer) = self.consumer.as_mut() {
            let received = tokio::select! {
                biased;
                () = self.end.wait() => None,
                received = consumer.next() => received,
            };
            match received {
                Some(Ok(delivery)) => {
                    let delivery = Delivery::new(delivery, self.calls.clone(), self.end.clone());
                    if !self.stopping.is_cancelled() {
                        return Some(delivery);
                    }
                    // The session ends where this fails, and then the broker has it back in any case.
                    let _ = delivery.hand_back().await;
                    continue;
                }
                Some(Err(error)) => self.end.because(super::error::cause(&error)),
                None if self.stopping.is_cancelled() => {}
                None => self.end.because("the broker stopped the deliveries; is the work queue still there"),
            }
            self.consumer = None;
        }
        if !self.stopping.is_cancelled() {
            self.end.wait().await;
        }
        None
    }
}

/// A message that the broker lends us until it is settled. Settling consumes it, so that nothing is settled twice; one
/// that is dropped returns to the queue when the session is closed.
#[must_use = "settle it, or the broker delivers it again"]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Where it was sent.
    pub exchange: String,
    /// With which routing key.
    pub routing_key: String,
    /// Whether the broker may have delivered it before. No evidence of a duplicate: it is set after any restart.
    pub redelivered: bool,
    acker: Acker,
    calls: Calls,
    end: End,
}

impl Delivery {
    fn new(delivery: lapin::message::Delivery, calls: Calls, end: End) -> Self {
        Self {
            message: Message::from_amqp(&delivery.properties, delivery.data),
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            redelivered: delivery.redelivered,
            acker: delivery.acker,
            calls,
            end,
        }
    }

    /// How often the broker had it back unsettled, from a consumer that died or handed it back. Quorum queues count that
    /// (`x-delivery-count`, RabbitMQ, quorum queues, "poison message handling"); a publisher could write it too, so that it
    /// counts only where the broker says that it delivers again.
    #[must_use]
    pub fn returns(&self) -> u32 {
        let count = self.message.headers.get_integer("x-delivery-count").filter(|_| self.redelivered);
        count.map_or(0, |count| u32::try_from(count).unwrap_or(0))
    }

    /// Tells the broker that it is done with.
    ///
    /// # Errors
    /// When its session is gone: the broker delivers it again, if the acknowledgement did not reach it.
    pub async fn ack(self) -> Result<(), RabbitmqError> {
        let answer = self.calls.call("take an acknowledgement", self.acker.ack(BasicAckOptions::default())).await;
        self.settled(answer)
    }

    /// Gives it back to the queue, for whoever comes next. The broker counts it towards the delivery limit.
    ///
    /// # Errors
    /// When its session is gone: the broker delivers it again, too.
    pub async fn hand_back(self) -> Result<(), RabbitmqError> {
        let options = BasicNackOptions { multiple: false, requeue: true };
        let answer = self.calls.call("take a delivery back", self.acker.nack(options)).await;
        self.settled(answer)
    }

    /// lapin answers `Ok(false)` where nothing was sent, because the channel is gone. In a session that has ended, what
    /// was sent may have gone into a dead socket: it is worth the try, but it is not known to have arrived.
    fn settled(&self, answer: Result<bool, RabbitmqError>) -> Result<(), RabbitmqError> {
        let error = match answer {
            Ok(true) if self.end.has_come() => return Err(self.end.error()),
            Ok(true) => return Ok(()),
            Ok(false) => RabbitmqError::NotSettled,
            Err(error) => error,
        };
        self.end.because(error.to_string());
        Err(error)
    }
}
