//! The one place that decides what becomes of a delivery. Pure: outcome and circumstances in, settlement out.

use std::time::Duration;

use crate::failure::{DeadLetterClass, FailureKind, Settlement};

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Replicated and announced, or split into messages of its own.
    Done,
    /// Not for us.
    Ignored,
    /// It failed in one of the four ways.
    Failed(FailureKind),
    /// Not tried, or tried in vain, because what it needs is down for all.
    PutOff,
    /// Stopped by shutdown, or its session was lost.
    Stopped,
}

/// What the decision depends on besides the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Which try this was, from 1.
    pub attempt: u32,
    /// How many continuations in a row came before it that had to wait for something.
    pub waits: u32,
    /// Time since a worker first saw the message.
    pub age: Duration,
    /// Age at which a message that still fails is given up.
    pub deadline: Duration,
    /// Tries after which it is given up; 0: unbounded.
    pub max_attempts: u32,
    /// Waits of the retry queues, ascending.
    pub tiers: &'a [Duration],
}

/// After this many continuations on one tier the next longer one is used, so that what is never ready is asked seldom.
const CONTINUATIONS_PER_TIER: u32 = 12;

/// What is put off waits in the longest tier up to this, or in the shortest.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(10);

/// Decides. Contract: `house`, "Failures and what becomes of them".
#[must_use]
pub fn decide(outcome: Outcome, now: Circumstances<'_>) -> Settlement {
    match outcome {
        Outcome::Done => Settlement::Complete,
        Outcome::Ignored => Settlement::Ignore,
        Outcome::Stopped => Settlement::HandBack,
        Outcome::Failed(FailureKind::Invalid) => Settlement::Park,
        Outcome::Failed(FailureKind::Permanent) => Settlement::DeadLetter(DeadLetterClass::Permanent),
        Outcome::Failed(_) | Outcome::PutOff if now.age >= now.deadline => {
            Settlement::DeadLetter(DeadLetterClass::Expired)
        }
        // However often: when it is up again, nothing is to come late.
        Outcome::PutOff => {
            let soon = now.tiers.iter().rposition(|tier| *tier <= LONGEST_PUT_OFF);
            Settlement::Continue { tier: Some(soon.unwrap_or(0)) }
        }
        Outcome::Failed(FailureKind::Transient { retry_after }) => {
            if now.max_attempts != 0 && now.attempt >= now.max_attempts {
                return Settlement::DeadLetter(DeadLetterClass::Exhausted);
            }
            let own = (now.attempt.saturating_sub(1) as usize).min(last(now.tiers));
            Settlement::Retry { tier: own.max(retry_after.map_or(0, |wait| fitting(now.tiers, wait))) }
        }
        Outcome::Failed(FailureKind::NeedsMoreTime { check_after }) if check_after.is_zero() => {
            Settlement::Continue { tier: None }
        }
        Outcome::Failed(FailureKind::NeedsMoreTime { check_after }) => {
            let patience = (now.waits / CONTINUATIONS_PER_TIER) as usize;
            Settlement::Continue { tier: Some(fitting(now.tiers, check_after).max(patience).min(last(now.tiers))) }
        }
    }
}

/// The shortest tier that waits at least `wait`; the last one where none does.
fn fitting(tiers: &[Duration], wait: Duration) -> usize {
    tiers.iter().position(|tier| *tier >= wait).unwrap_or_else(|| last(tiers))
}

fn last(tiers: &[Duration]) -> usize {
    tiers.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIERS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

    const SHORT: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(3600)];

    fn now() -> Circumstances<'static> {
        Circumstances {
            attempt: 1,
            waits: 0,
            age: Duration::ZERO,
            deadline: Duration::from_secs(3600),
            max_attempts: 0,
            tiers: &TIERS,
        }
    }

    fn transient(seconds: Option<u64>) -> Outcome {
        Outcome::Failed(FailureKind::Transient { retry_after: seconds.map(Duration::from_secs) })
    }

    fn later(seconds: u64) -> Outcome {
        Outcome::Failed(FailureKind::NeedsMoreTime { check_after: Duration::from_secs(seconds) })
    }

    #[test]
    fn every_outcome_has_one_settlement() {
        let old = Circumstances { age: Duration::from_secs(3600), ..now() };
        let dead = Settlement::DeadLetter;
        let table = [
            (Outcome::Done, now(), Settlement::Complete),
            (Outcome::Ignored, now(), Settlement::Ignore),
            (Outcome::Stopped, old, Settlement::HandBack),
            (Outcome::Failed(FailureKind::Invalid), old, Settlement::Park),
            (Outcome::Failed(FailureKind::Permanent), old, dead(DeadLetterClass::Permanent)),
            (transient(None), now(), Settlement::Retry { tier: 0 }),
            (transient(None), Circumstances { attempt: 2, ..now() }, Settlement::Retry { tier: 1 }),
            (transient(None), Circumstances { attempt: 99, ..now() }, Settlement::Retry { tier: 2 }),
            (transient(Some(31)), now(), Settlement::Retry { tier: 2 }),
            (transient(Some(9999)), now(), Settlement::Retry { tier: 2 }),
            (transient(None), Circumstances { attempt: 3, max_attempts: 3, ..now() }, dead(DeadLetterClass::Exhausted)),
            (transient(None), old, dead(DeadLetterClass::Expired)),
            (later(0), now(), Settlement::Continue { tier: None }),
            (later(6), now(), Settlement::Continue { tier: Some(1) }),
            (later(5), Circumstances { waits: 12, ..now() }, Settlement::Continue { tier: Some(1) }),
            (later(5), Circumstances { waits: 999, ..now() }, Settlement::Continue { tier: Some(2) }),
            (later(5), old, dead(DeadLetterClass::Expired)),
            (
                Outcome::PutOff,
                Circumstances { waits: 999, attempt: 9, ..now() },
                Settlement::Continue { tier: Some(0) },
            ),
            (Outcome::PutOff, Circumstances { tiers: &TIERS[1..], ..now() }, Settlement::Continue { tier: Some(0) }),
            (Outcome::PutOff, Circumstances { tiers: &SHORT, ..now() }, Settlement::Continue { tier: Some(1) }),
            (Outcome::PutOff, old, dead(DeadLetterClass::Expired)),
        ];
        for (outcome, circumstances, expected) in table {
            assert_eq!(decide(outcome, circumstances), expected, "{outcome:?} in {circumstances:?}");
        }
    }
}
