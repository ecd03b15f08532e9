//! Stores what a settlement sends: a broker that refuses is asked again and again, and who asks for readiness is told.

use std::time::Duration;

use backon::BackoffBuilder;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::letters::Letter;
use crate::http::FullJitter;
use crate::rabbitmq::{PublishError, Publisher};

/// Waits between tries to publish while the broker refuses.
const REPUBLISH: FullJitter =
    FullJitter { base: Duration::from_millis(500), cap: Duration::from_secs(15), delays: usize::MAX };

/// How long sending a message round may take, its delivery's time being over.
const LAST_TRY: Duration = Duration::from_secs(5);

/// How many deliveries are kept because the broker refuses what settles them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Refusals(watch::Sender<usize>);

/// Counts one delivery until it is dropped.
struct Refused<'a>(&'a Refusals);

impl Refusals {
    /// The number now, and every change of it.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.0.subscribe()
    }

    fn begin(&self) -> Refused<'_> {
        self.0.send_modify(|count| *count += 1);
        Refused(self)
    }
}

impl Drop for Refused<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// What one delivery publishes with.
pub struct Outbox<'a> {
    /// Of the delivery's session.
    pub publisher: &'a Publisher,
    /// Where it counts while it is refused.
    pub refusals: &'a Refusals,
    /// Cancelled when its session is lost.
    pub ended: &'a CancellationToken,
    /// Cancelled when the shutdown's grace is over.
    pub hard: &'a CancellationToken,
}

impl Outbox<'_> {
    /// Publishes until the broker has stored it. A broker that refuses is asked again, ever slower, while the delivery is
    /// kept: so a worker that cannot settle takes nothing new. `false` when the session ended or time is over.
    pub async fn store(&self, letter: &Letter) -> bool {
        let Letter { exchange, key, message, .. } = letter;
        let (mut refused, mut waits) = (None, REPUBLISH.build());
        loop {
            match self.publisher.publish(exchange, key, message).await {
                Ok(()) => return true,
                Err(error @ (PublishError::Unconfirmed(_) | PublishError::TooLong { .. })) => {
                    tracing::warn!(error = %error, exchange, key, "not published; the delivery comes again");
                    return false;
                }
                Err(error) => {
                    if refused.is_none() {
                        refused = Some(self.refusals.begin());
                        tracing::error!(error = %error, exchange, key, "cannot publish; keeping the delivery and trying again");
                    }
                }
            }
            let wait = waits.next().unwrap_or(REPUBLISH.cap);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.ended.cancelled() => return false,
                () = self.hard.cancelled() => return false,
            }
        }
    }

    /// Publishes the first of these that the broker stores, each tried once and all in a short time. Whether one was.
    pub async fn store_soon(&self, letters: &[Letter]) -> bool {
        let one_by_one = async {
            for Letter { exchange, key, message, .. } in letters {
                match self.publisher.publish(exchange, key, message).await {
                    Ok(()) => return true,
                    Err(error) => tracing::warn!(error = %error, exchange, key, "cannot be sent round this way"),
                }
            }
            false
        };
        timeout(LAST_TRY, one_by_one).await.unwrap_or_else(|_| {
            tracing::warn!(seconds = LAST_TRY.as_secs(), "not sent round in time");
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_counts_as_refused_until_it_is_settled_or_given_up() {
        let refusals = Refusals::default();
        let watch = refusals.watch();
        let (one, other) = (refusals.begin(), refusals.begin());
        assert_eq!(*watch.borrow(), 2);
        drop(one);
        assert_eq!(*watch.borrow(), 1);
        drop(other);
        assert_eq!(*watch.borrow(), 0);
    }
}
