//! What is counted of messages and of what becomes of them.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::{BLOCKED, CONNECTED, DEAD_LETTERS, FAILURES, IGNORED, LAG, MESSAGES, PART, PUBLISHES, REPLICAS, RETRIES};

/// What a replica's time is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From the end of encoding until a worker saw the message.
    QueueWait,
    /// Asking and telling services.
    ControlPlane,
    /// Copying.
    Bytes,
    /// Comparing and playing.
    Verification,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::QueueWait => "queue_wait",
            Self::ControlPlane => "control_plane",
            Self::Bytes => "bytes",
            Self::Verification => "verification",
        }
    }
}

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// A queue has it.
    Confirmed,
    /// No queue is bound.
    Unroutable,
    /// The broker refused it.
    Rejected,
    /// Nobody knows.
    Unconfirmed,
}

/// Counts of a worker. Cheap to make: what is counted is the process's.
#[derive(Debug, Clone, Copy)]
pub struct WorkMetrics;

impl WorkMetrics {
    /// A delivery is settled.
    pub fn settled(settlement: &'static str, class: &'static str) {
        counter!(MESSAGES, "settlement" => settlement, "class" => class).increment(1);
    }

    /// A message was set aside.
    pub fn dead_letter(class: &'static str, code: &'static str) {
        counter!(DEAD_LETTERS, "class" => class, "code" => code).increment(1);
    }

    /// A message was not for us.
    pub fn ignored(reason: &'static str) {
        counter!(IGNORED, "reason" => reason).increment(1);
    }

    /// A message was sent to the retry queue of this delay.
    pub fn retried(tier: Duration) {
        counter!(RETRIES, "tier" => format!("{}s", tier.as_secs())).increment(1);
    }

    /// A replica is announced: its route, how it was verified, and how long it took since the end of encoding.
    pub fn replicated(source: &str, replica: &str, level: &'static str, lag: Option<Duration>) {
        let route = [("source", source.to_owned()), ("replica", replica.to_owned())];
        counter!(REPLICAS, [route[0].clone(), route[1].clone(), ("level", level.to_owned())].as_slice()).increment(1);
        if let Some(lag) = lag {
            histogram!(LAG, route.as_slice()).record(lag);
        }
    }

    /// A part of the work took so long.
    pub fn took(part: Part, time: Duration) {
        histogram!(PART, "part" => part.name()).record(time);
    }

    /// A replica was not what it should be.
    pub fn not_verified(step: &'static str, code: &'static str) {
        counter!(FAILURES, "step" => step, "code" => code).increment(1);
    }

    /// A publish has ended.
    pub fn published(result: Published) {
        let result = match result {
            Published::Confirmed => "confirmed",
            Published::Unroutable => "unroutable",
            Published::Rejected => "rejected",
            Published::Unconfirmed => "unconfirmed",
        };
        counter!(PUBLISHES, "result" => result).increment(1);
    }

    /// Whether there is a session with the broker, and whether that takes anything from us.
    pub fn broker(is_connected: bool, is_blocked: bool) {
        gauge!(CONNECTED).set(f64::from(u8::from(is_connected)));
        gauge!(BLOCKED).set(f64::from(u8::from(is_blocked)));
    }
}
