//! Finds out how many requests at once, and how many per second, a pair of storage accounts bears.
//!
//! One limiter for each (source account, replica account), shared by all jobs of the worker, so that a second asset begins
//! with what the first has learnt. It holds two numbers:
//!
//! - **The width**, how many requests are under way at once. It starts small and doubles with each round of answers, as long as
//!   all of it is used and that gains: the rate is the width divided by the latency, so a doubling that makes answers
//!   take 5/3 as long gains less than a fifth. Then it grows by a few, and not at all while answers take more than twice
//!   their shortest time.
//! - **The pace**, how many requests begin per second: without a limit until the service first refuses one. From then on a
//!   refusal cuts it by a quarter, once in 0.2 s, and each success of a request that the pace has held back raises it by
//!   6/√pace, so that the square root of the pace grows by 3 in a second. Of workers that know nothing of each other the
//!   small catch up with the large by that. All meet the limit every second or two, and leave it at once. A limit that is
//!   not met for 8 s is gone, and then the width alone counts again.
//!
//! A refused request waits for as long as the service asks; the others go on at the lower pace, for the service takes
//! what is below its limit. Only when nothing has succeeded for half a second, all wait. One refusal in fifty is taken
//! for chance.

mod latency;
mod law;
#[cfg(test)]
mod model;
mod pace;
#[cfg(test)]
mod tests;
mod width;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::law::{Law, Ticket, Wait};
use super::operation::SizeClass;

/// Where a limiter begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimiterSettings {
    /// Requests at once to begin with, at least one; what is known to be borne anywhere.
    pub start: usize,
    /// Requests at once at most.
    pub cap: usize,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self { start: 32, cap: 512 }
    }
}

/// What a limiter has learnt so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimiterState {
    /// Requests that may be under way at once.
    pub width: usize,
    /// Requests under way.
    pub in_flight: usize,
    /// Requests that may begin per second; `None`: as many as the width allows.
    pub pace_per_second: Option<f64>,
    /// Requests that the service has refused as too many.
    pub throttles: u64,
    /// Requests that went well.
    pub successes: u64,
    /// Whether none begins because the service has taken none for a while.
    pub is_paused: bool,
}

/// The limiter of one pair of accounts. Clones share it.
#[derive(Debug, Clone)]
pub struct Limiter(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Whoever holds it is next; the others wait for it in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
    law: Mutex<Law>,
}

impl Limiter {
    /// One that has learnt nothing yet.
    #[must_use]
    pub fn new(settings: LimiterSettings) -> Self {
        Self(Arc::new(Shared {
            turn: tokio::sync::Mutex::default(),
            freed: Notify::new(),
            law: Mutex::new(Law::new(settings, Instant::now())),
        }))
    }

    /// Waits until one more request may begin, first come first served. Whoever gives up waiting leaves no trace.
    pub async fn acquire(&self) -> Permit {
        let _turn = self.0.turn.lock().await;
        loop {
            let wait = match self.0.law().begin(Instant::now()) {
                Ok(ticket) => return Permit { shared: Arc::clone(&self.0), ticket },
                Err(wait) => wait,
            };
            match wait {
                Wait::ForSlot => self.0.freed.notified().await,
                Wait::Until(at) => sleep_until(at).await,
            }
        }
    }

    /// What it has learnt so far.
    #[must_use]
    pub fn state(&self) -> LimiterState {
        self.0.law().state(Instant::now())
    }
}

impl Shared {
    fn law(&self) -> MutexGuard<'_, Law> {
        self.law.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to make one request. Dropped without a verdict it teaches nothing, as when the job was stopped.
#[derive(Debug)]
#[must_use = "the slot is free again as soon as this is dropped"]
pub struct Permit {
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl Permit {
    /// The request has succeeded, in `took` from its first byte sent.
    pub fn done(self, class: SizeClass, took: Duration) {
        self.shared.law().succeeded(Instant::now(), self.ticket, class, took);
    }

    /// The service, or the source's behind it, has refused the request as one too many: 429, 503 or 500
    /// OperationTimedOut. The caller lets `retry_after` pass before it acquires again.
    pub fn throttled(self, retry_after: Option<Duration>) {
        self.shared.law().refused(Instant::now(), self.ticket, retry_after);
    }

    /// The request has failed for a reason that says nothing about the load.
    pub fn failed(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.law().end();
        self.shared.freed.notify_one();
    }
}
