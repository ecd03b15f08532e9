//! The law of the limiter without any waiting: what may begin now, and what follows from how it ended.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use super::width::Width;
use super::{LimiterSettings, LimiterState};
use crate::replication::engine::operation::SizeClass;

/// All stop when the service refuses after having taken nothing for so long.
const SILENCE: Duration = Duration::from_millis(500);
/// However long the service asks us to stop, it is tried again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So much of each new latency goes into the mean.
const MEAN_SHARE: f64 = 0.1;

/// All that a limiter knows.
#[derive(Debug)]
pub struct Law {
    width: Width,
    pace: Pace,
    in_flight: usize,
    throttles: u64,
    successes: u64,
    mean_seconds: Option<f64>,
    /// When the first request began after the last success.
    silent_since: Option<Instant>,
    paused_until: Option<Instant>,
}

/// What was so when a request began.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    began: Instant,
    cuts: u64,
    was_held_back: bool,
}

/// Why a request may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As many as may be are under way.
    ForSlot,
    /// It is too early.
    Until(Instant),
}

impl Law {
    /// One that has learnt nothing.
    pub fn new(settings: LimiterSettings, now: Instant) -> Self {
        Self {
            width: Width::new(settings, now),
            pace: Pace::new(now),
            in_flight: 0,
            throttles: 0,
            successes: 0,
            mean_seconds: None,
            silent_since: None,
            paused_until: None,
        }
    }

    /// Begins a request, or says what it has to wait for.
    pub fn begin(&mut self, now: Instant) -> Result<Ticket, Wait> {
        if let Some(until) = self.paused_until.filter(|&until| until > now) {
            return Err(Wait::Until(until));
        }
        if !self.width.has_room(self.in_flight, now) {
            return Err(Wait::ForSlot);
        }
        let was_held_back = self.pace.begin(now).map_err(Wait::Until)?;
        self.silent_since.get_or_insert(now);
        self.in_flight += 1;
        Ok(Ticket { began: now, cuts: self.pace.cuts(), was_held_back })
    }

    /// To be called once for each request that began, after what is told of its outcome.
    pub fn end(&mut self) {
        self.in_flight -= 1;
    }

    /// Learns from an answer in good order.
    pub fn succeeded(&mut self, now: Instant, ticket: Ticket, class: SizeClass, took: Duration) {
        self.successes += 1;
        self.silent_since = None;
        let mean = self.mean_seconds.get_or_insert(took.as_secs_f64());
        *mean += (took.as_secs_f64() - *mean) * MEAN_SHARE;
        self.width.learn(class, ticket.began, took);
        self.width.review(now);
        self.pace.succeeded(now, ticket.was_held_back);
    }

    /// Learns from a refusal for too many requests.
    pub fn refused(&mut self, now: Instant, ticket: Ticket, retry_after: Option<Duration>) {
        self.throttles += 1;
        if self.pace.forgives() {
            return;
        }
        // a request that began before the last cut tells nothing of what the cut has done
        if ticket.cuts == self.pace.cuts() && self.pace.may_cut(now) {
            let rate = self.in_flight as f64 / self.mean_seconds.unwrap_or(MEAN_SHARE).max(0.001);
            self.pace.cut(now, rate);
            self.width.cut(now, self.in_flight);
        }
        if self.silent_since.is_some_and(|since| now.duration_since(since) >= SILENCE) {
            let until = now + retry_after.unwrap_or(SILENCE).min(LONGEST_PAUSE);
            self.paused_until = self.paused_until.max(Some(until));
        }
    }

    /// For those who look on.
    pub fn state(&self, now: Instant) -> LimiterState {
        LimiterState {
            width: self.width.get(),
            in_flight: self.in_flight,
            pace_per_second: self.pace.per_second(),
            throttles: self.throttles,
            successes: self.successes,
            is_paused: self.paused_until.is_some_and(|until| until > now),
        }
    }
}
