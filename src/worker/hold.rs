//! How long one delivery may be in our hands, and what each part of that time is for.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;

/// When what was stopped is tried again.
const CHECK_AGAIN: Duration = Duration::from_secs(5);

/// The time of one delivery: four fifths for its job, which then stops and gives back what it holds at the sites; at nine
/// tenths it is cut off, as at a shutdown; the rest is for settling. At its end the message goes round, as a new one where the
/// broker takes that.
#[derive(Debug, Clone, Copy)]
pub struct Hold {
    since: Instant,
    limit: Duration,
}

impl Hold {
    /// Begins now and ends after `limit`.
    pub fn begin(limit: Duration) -> Self {
        Self { since: Instant::now(), limit }
    }

    /// How long the job still has before it is to stop.
    pub fn job_has(&self) -> Duration {
        (self.limit * 4 / 5).saturating_sub(self.since.elapsed())
    }

    /// Ends when the job is to be cut off; with what it then fails as.
    pub async fn job_is_over(&self) -> Failure {
        sleep_until(self.since + self.limit * 9 / 10).await;
        let seconds = self.limit.as_secs();
        let message = format!("a delivery is held for {seconds} s at most and something still ran, so it was stopped");
        Failure::needs_more_time("held-too-long", message, CHECK_AGAIN).with_hint(
            "look which calls take so long, with log_filter = \"debug\"; worker.max_hold_seconds is the limit",
        )
    }

    /// Ends with the delivery's time.
    pub async fn is_over(&self) {
        sleep_until(self.since + self.limit).await;
    }
}
