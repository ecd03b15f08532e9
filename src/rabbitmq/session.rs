//! A session: two connections that live and end together, and the watch over them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ConnectionStatus, Event};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::message::short;
use super::{Deliveries, Publisher, RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// How long the closing of a session that has failed may take.
const CLOSE_AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The one end of a session, and why.
#[derive(Debug, Clone, Default)]
pub(super) struct End {
    token: CancellationToken,
    reason: Arc<OnceLock<String>>,
}

impl End {
    /// Ends the session. The first reason stays.
    pub(super) fn because(&self, reason: impl Into<String>) {
        self.reason.get_or_init(|| reason.into());
        self.token.cancel();
    }

    /// Whether it has ended.
    pub(super) fn has_come(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for the end.
    pub(super) async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// The error of whoever still wants something.
    pub(super) fn error(&self) -> RabbitmqError {
        let reason = self.reason.get().map_or("it was closed", String::as_str);
        RabbitmqError::SessionEnded(reason.to_owned())
    }
}

/// Two connections: one to consume, one to publish, because a broker under an alarm blocks only those that publish. Dropping
/// it ends it; [`Session::close`] does so politely.
pub struct Session {
    publishing: Arc<Connection>,
    publisher: Publisher,
    consuming: Option<Consuming>,
    end: End,
}

struct Consuming {
    connection: Connection,
    channel: Channel,
    tag: ShortString,
    stopping: CancellationToken,
}

impl Session {
    /// Opens a session. With `consume` it takes deliveries from the work queue, that many unsettled ones at once.
    ///
    /// # Errors
    /// When the broker cannot be used, or the work queue is not there.
    pub async fn open(settings: &RabbitmqSettings, consume: Option<u16>) -> Result<(Self, Deliveries), RabbitmqError> {
        let end = End::default();
        // Whatever fails below, the watch over what is open already must end.
        let guard = end.token.clone().drop_guard();
        let publishing = Arc::new(Connection::open(settings, "stream-replicator publish").await?);
        let (blocked_sender, blocked) = watch::channel(false);
        watch_over(&publishing, "publish", settings, blocked_sender, &end);
        let publisher = Publisher::new(publishing.clone(), blocked, end.clone());
        let (consuming, consumer) = match consume {
            Some(prefetch) => {
                let connection = Connection::open(settings, "stream-replicator consume").await?;
                watch_over(&connection, "consume", settings, watch::channel(false).0, &end);
                let (channel, consumer) = consume_work(&connection, settings, prefetch).await?;
                let (tag, stopping) = (consumer.tag(), CancellationToken::new());
                (Some(Consuming { connection, channel, tag, stopping }), Some(consumer))
            }
            None => (None, None),
        };
        let stopping = consuming.as_ref().map_or_else(CancellationToken::new, |consuming| consuming.stopping.clone());
        let deliveries = Deliveries::new(consumer, stopping, publishing.calls().clone(), end.clone());
        guard.disarm();
        Ok((Self { publishing, publisher, consuming, end }, deliveries))
    }

    /// Publishes over this session.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        self.publisher.clone()
    }

    /// Is cancelled when the session has ended: by any error, by the broker, by an alarm that lasts longer than
    /// `max_blocked_seconds`, or because it was closed.
    #[must_use]
    pub fn ended(&self) -> CancellationToken {
        self.end.token.clone()
    }

    /// Why it has ended, once it has.
    #[must_use]
    pub fn end_reason(&self) -> Option<&str> {
        self.end.reason.get().map(String::as_str)
    }

    /// Takes no more deliveries. The connection and its heartbeats stay, and deliveries in flight can be settled.
    ///
    /// # Errors
    /// When the broker refuses or does not answer; the session has then ended.
    pub async fn stop_consuming(&self) -> Result<(), RabbitmqError> {
        let Some(Consuming { connection, channel, tag, stopping }) = &self.consuming else { return Ok(()) };
        if stopping.is_cancelled() {
            return Ok(());
        }
        stopping.cancel();
        let cancelled = channel.basic_cancel(tag.clone(), BasicCancelOptions::default());
        let answer = connection.calls().call("stop the deliveries", cancelled).await;
        answer.inspect_err(|error| self.end.because(error.to_string()))
    }

    /// Closes publisher, channels and connections. Unsettled deliveries return to the queue.
    pub async fn close(self) {
        let timeout = self.publishing.calls().timeout();
        let patience = if self.end.has_come() { CLOSE_AFTER_FAILURE.min(timeout) } else { timeout };
        self.end.because("it was closed");
        let consuming = async {
            if let Some(consuming) = &self.consuming {
                consuming.connection.close(patience).await;
            }
        };
        tokio::join!(self.publishing.close(patience), consuming);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end.because("it was closed");
    }
}

async fn consume_work(
    connection: &Connection,
    settings: &RabbitmqSettings,
    prefetch: u16,
) -> Result<(Channel, lapin::Consumer), RabbitmqError> {
    let channel = connection.channel().await?;
    let queue = Topology::new(settings).work_queue();
    let what = format!("consume queue {queue}");
    let consumed = async {
        let name = short("the work queue", &queue).map_err(std::io::Error::other)?;
        channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        channel.basic_consume(name, ShortString::default(), options, none).await
    };
    let consumer = connection.calls().call(&what, consumed).await?;
    Ok((channel, consumer))
}

/// Starts the watch over one connection.
fn watch_over(
    connection: &Connection,
    name: &'static str,
    settings: &RabbitmqSettings,
    blocked: watch::Sender<bool>,
    end: &End,
) {
    let events = connection.inner().events_listener();
    let watch = Watch {
        name,
        status: connection.inner().status().clone(),
        blocked,
        max_blocked: Duration::from_secs(settings.max_blocked_seconds),
        look_every: Duration::from_secs(u64::from(settings.heartbeat_seconds.max(1))),
        end: end.clone(),
    };
    tokio::spawn(watch.run(events));
}

struct Watch {
    name: &'static str,
    status: ConnectionStatus,
    blocked: watch::Sender<bool>,
    max_blocked: Duration,
    look_every: Duration,
    end: End,
}

impl Watch {
    /// Ends the session with the connection, or when it stays blocked for too long.
    async fn run(self, events: impl Stream<Item = Event>) {
        let mut events = std::pin::pin!(events);
        let mut blocked_until: Option<Instant> = None;
        loop {
            // Not every end is an event: a connection closed without an error code only shows in its status.
            if !self.status.connected() {
                self.end.because(format!("the connection to {} is closed", self.name));
            }
            let next_look = blocked_until.unwrap_or_else(|| Instant::now() + self.look_every);
            tokio::select! {
                biased;
                () = self.end.wait() => return,
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(%reason, connection = self.name, "broker blocks the connection");
                        blocked_until.get_or_insert(Instant::now() + self.max_blocked);
                        self.blocked.send_replace(true);
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(connection = self.name, "broker unblocked the connection");
                        blocked_until = None;
                        self.blocked.send_replace(false);
                    }
                    Some(Event::Error(error)) => self.end.because(super::error::cause(&error)),
                    Some(_) => {}
                    None => self.end.because(format!("the connection to {} is gone", self.name)),
                },
                () = sleep_until(next_look) => if blocked_until.is_some() {
                    let seconds = self.max_blocked.as_secs();
                    self.end.because(format!("the broker blocked the connection for {seconds} s; look at its alarms"));
                },
            }
        }
    }
}
