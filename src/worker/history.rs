//! What a message has been through, read from its headers and written back to them.

use std::time::Duration;

use time::OffsetDateTime;

use crate::events::{format_time, parse_time};
use crate::model::{Compared, CopyCount};
use crate::rabbitmq::{Headers, Message};

/// Tries so far.
pub const ATTEMPT: &str = "x-replication-attempt";
/// Continuations so far.
pub const SLICE: &str = "x-replication-slice";
/// Continuations in a row that had to wait for something.
pub const WAITS: &str = "x-replication-waits";
/// Files that were copied for it so far, by whichever worker.
pub const COPIED_FILES: &str = "x-replication-copied-files";
/// Their bytes.
pub const COPIED_BYTES: &str = "x-replication-copied-bytes";
/// How long that took, in milliseconds.
pub const COPY_MS: &str = "x-replication-copy-ms";
/// How far its bytes are compared: what stands for the state of both sites, a slash, and the number of ranges that are equal.
pub const COMPARED: &str = "x-replication-compared";
/// How far its segments are checked, in the same way.
pub const CHECKED: &str = "x-replication-checked";
/// When a worker first saw it.
pub const FIRST_SEEN: &str = "x-replication-first-seen";
/// When it is given up.
pub const DEADLINE: &str = "x-replication-deadline";
/// The exchange it first came through.
pub const SOURCE_EXCHANGE: &str = "x-replication-source-exchange";
/// The routing key it first came with.
pub const SOURCE_KEY: &str = "x-replication-source-key";

/// When it was set aside, as a dead letter or as unusable.
pub const SET_ASIDE_AT: &str = "x-replication-set-aside-at";
/// How often an operator has replayed it.
pub const REPLAYS: &str = "x-replication-replays";
/// The run of the operator's tool that replayed it last.
pub const REPLAY_RUN: &str = "x-replication-replay-run";

/// The longest name of an exchange and the longest routing key, in bytes (AMQP 0-9-1, short strings).
const LONGEST_NAME: usize = 255;

/// What a message has been through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Continuations before it.
    pub slice: u32,
    /// How many of them in a row, up to now, had to wait for something that was not ready.
    pub waits: u32,
    /// When a worker first saw it.
    pub first_seen: OffsetDateTime,
    /// What earlier runs have copied. Lost with a worker that is killed: then it seems to have been there before.
    pub copied: CopyCount,
    exchange: String,
    key: String,
}

/// A header that is a number. As text too: an operator's tool may know no other headers (STOMP has none).
pub fn integer(headers: &Headers, name: &str) -> Option<i64> {
    headers.get_integer(name).or_else(|| headers.get_text(name)?.trim().parse().ok())
}

/// Reads [`COMPARED`] or [`CHECKED`]; `None` when it is none of ours.
fn parse_compared(text: &str) -> Option<Compared> {
    let (state, ranges) = text.split_once('/')?;
    Some(Compared { state: u64::from_str_radix(state, 16).ok()?, ranges: ranges.parse().ok()? })
}

/// What lies behind a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Tries.
    pub attempts: u32,
    /// Continuations.
    pub slices: u32,
    /// Continuations in a row that had to wait.
    pub waits: u32,
}

impl History {
    /// Reads it; a message without our headers is seen for the first time, at `now`. Anybody can write such headers: what
    /// cannot be is not believed.
    pub fn read(message: &Message, exchange: &str, key: &str, now: OffsetDateTime) -> Self {
        let headers = &message.headers;
        let number = |name| integer(headers, name);
        let count = |name| number(name).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let large = |name| number(name).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        let text = |name, first: &str| {
            headers.get_text(name).filter(|text| text.len() <= LONGEST_NAME).unwrap_or(first).to_owned()
        };
        Self {
            attempt: count(ATTEMPT).saturating_add(1),
            slice: count(SLICE),
            waits: count(WAITS),
            first_seen: headers.get_text(FIRST_SEEN).and_then(parse_time).map_or(now, |seen| seen.min(now)),
            copied: CopyCount {
                copied_files: large(COPIED_FILES),
                copied_bytes: large(COPIED_BYTES),
                duration: Duration::from_millis(large(COPY_MS)),
                skipped_files: 0,
                compared: headers.get_text(COMPARED).and_then(parse_compared),
                checked: headers.get_text(CHECKED).and_then(parse_compared),
            },
            exchange: text(SOURCE_EXCHANGE, exchange),
            key: text(SOURCE_KEY, key),
        }
    }

    /// Time since a worker first saw it; zero where a clock disagrees.
    pub fn age(&self, now: OffsetDateTime) -> Duration {
        (now - self.first_seen).try_into().unwrap_or_default()
    }

    /// The same after a run that has copied so much.
    pub fn with(&self, run: CopyCount) -> Self {
        Self { copied: run.after(self.copied), ..self.clone() }
    }

    /// Writes what the next worker must know: the `counts` that lie behind the message now.
    pub fn write(&self, headers: &mut Headers, counts: Counts, deadline: Duration) {
        let Counts { attempts, slices, waits } = counts;
        headers.set(ATTEMPT, attempts);
        headers.set(SLICE, slices);
        headers.set(WAITS, waits);
        headers.set(FIRST_SEEN, format_time(self.first_seen));
        let deadline = time::Duration::try_from(deadline).unwrap_or(time::Duration::MAX);
        headers.set(DEADLINE, format_time(self.first_seen.saturating_add(deadline)));
        if self.copied.copied_files > 0 {
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            headers.set(COPIED_FILES, number(self.copied.copied_files));
            headers.set(COPIED_BYTES, number(self.copied.copied_bytes));
            headers.set(COPY_MS, number(self.copied.duration.as_millis().try_into().unwrap_or(u64::MAX)));
        }
        for (name, compared) in [(COMPARED, self.copied.compared), (CHECKED, self.copied.checked)] {
            match compared {
                Some(compared) => headers.set(name, format!("{:016x}/{}", compared.state, compared.ranges)),
                None => drop(headers.remove(name)),
            }
        }
        headers.set(SOURCE_EXCHANGE, self.exchange.as_str());
        headers.set(SOURCE_KEY, self.key.as_str());
    }
}
