//! What went on: counters by operation and status, requests at the same time, and a log of the latest requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::call::{Call, Target};
use super::operation::Operation;

/// Sums since the start, or since they were last set back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Answers by operation, then by status; status 0 is a connection that ended without an answer.
    pub answers: BTreeMap<Operation, BTreeMap<u16, u64>>,
    /// Requests under way now.
    pub in_flight: u64,
    /// The most requests at the same time.
    pub max_in_flight: u64,
    /// The most copies (whole or of a block) at the same time.
    pub max_copies_in_flight: u64,
    /// What copies have moved, in bytes.
    pub copied_bytes: u64,
    /// What clients have sent in bodies, in bytes.
    pub received_bytes: u64,
    /// What clients have been sent in bodies, in bytes.
    pub sent_bytes: u64,
}

impl Counters {
    /// All answers to an operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        self.answers.get(&operation).map(|by_status| by_status.values().sum()).unwrap_or_default()
    }

    /// All answers with a status, whatever was asked.
    #[must_use]
    pub fn with_status(&self, status: u16) -> u64 {
        self.answers.values().filter_map(|by_status| by_status.get(&status)).sum()
    }

    /// All answers.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.answers.values().flat_map(BTreeMap::values).sum()
    }
}

/// A request that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// Such as `PUT`.
    pub method: String,
    /// What it asked for.
    pub operation: Operation,
    /// Whose.
    pub account: String,
    /// In which container; may be empty.
    pub container: String,
    /// Of which blob; may be empty.
    pub blob: String,
    /// What Put Block (From URL) calls its block; empty otherwise.
    pub block_id: String,
    /// Which bytes of its source a copy asked for (`x-ms-source-range`); empty for all.
    pub source_range: String,
    /// The answer's status; 0 for none.
    pub status: u16,
    /// The answer's `x-ms-error-code`; empty when it went well.
    pub error_code: String,
    /// Milliseconds since the model was started.
    pub started_milliseconds: f64,
    /// Milliseconds since the model was started.
    pub ended_milliseconds: f64,
}

/// Counts and remembers.
#[derive(Debug)]
pub(crate) struct Observer {
    since: Instant,
    counters: Mutex<Counters>,
    copies_in_flight: AtomicU64,
    log: Mutex<VecDeque<Logged>>,
    log_size: AtomicU64,
    changed: Notify,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Flight {
    operation: Operation,
    started: Instant,
    entry: Option<Logged>,
}

impl Observer {
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            counters: Mutex::default(),
            copies_in_flight: AtomicU64::new(0),
            log: Mutex::default(),
            log_size: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    pub(crate) fn begin(&self, call: &Call, operation: Operation) -> Flight {
        let mut counters = self.counters();
        counters.in_flight += 1;
        counters.max_in_flight = counters.max_in_flight.max(counters.in_flight);
        counters.received_bytes += call.body.len() as u64;
        if operation.is_copy() {
            let copies = self.copies_in_flight.fetch_add(1, Ordering::Relaxed) + 1;
            counters.max_copies_in_flight = counters.max_copies_in_flight.max(copies);
        }
        drop(counters);
        self.changed.notify_waiters();
        let is_logged = self.log_size.load(Ordering::Relaxed) > 0;
        Flight { operation, started: Instant::now(), entry: is_logged.then(|| entry(call, operation)) }
    }

    /// `status` is 0 when no answer is given.
    pub(crate) fn end(&self, flight: Flight, status: u16, error_code: &str, sent_bytes: u64) {
        if flight.operation.is_copy() {
            self.copies_in_flight.fetch_sub(1, Ordering::Relaxed);
        }
        let mut counters = self.counters();
        counters.in_flight -= 1;
        counters.sent_bytes += sent_bytes;
        *counters.answers.entry(flight.operation).or_default().entry(status).or_default() += 1;
        drop(counters);
        if let Some(mut entry) = flight.entry {
            let milliseconds = |at: Instant| (at - self.since).as_secs_f64() * 1000.0;
            error_code.clone_into(&mut entry.error_code);
            (entry.status, entry.started_milliseconds) = (status, milliseconds(flight.started));
            entry.ended_milliseconds = milliseconds(Instant::now());
            let mut log = self.log();
            while log.len() as u64 >= self.log_size.load(Ordering::Relaxed).max(1) {
                log.pop_front();
            }
            log.push_back(entry);
        }
        self.changed.notify_waiters();
    }

    /// Waits until the counters are as wanted.
    pub(crate) async fn until(&self, mut is_so: impl FnMut(&Counters) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if is_so(&self.counters()) {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn copied(&self, bytes: u64) {
        self.counters().copied_bytes += bytes;
    }

    pub(crate) fn snapshot(&self) -> Counters {
        self.counters().clone()
    }

    /// Requests under way stay counted as such.
    pub(crate) fn reset(&self) {
        let mut counters = self.counters();
        let in_flight = counters.in_flight;
        let copies = self.copies_in_flight.load(Ordering::Relaxed);
        *counters =
            Counters { in_flight, max_in_flight: in_flight, max_copies_in_flight: copies, ..Counters::default() };
    }

    /// Keeps the latest so many requests; 0 keeps none.
    pub(crate) fn keep(&self, requests: u64) {
        self.log_size.store(requests, Ordering::Relaxed);
        self.log().clear();
    }

    pub(crate) fn logged(&self) -> Vec<Logged> {
        self.log().iter().cloned().collect()
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, VecDeque<Logged>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(call: &Call, operation: Operation) -> Logged {
    let Target { account, container, blob } = call.target.clone();
    Logged {
        method: call.method.to_string(),
        operation,
        account,
        container,
        blob,
        block_id: call.query.get("blockid").to_owned(),
        source_range: call.header("x-ms-source-range").to_owned(),
        status: 0,
        error_code: String::new(),
        started_milliseconds: 0.0,
        ended_milliseconds: 0.0,
    }
}
