//! The time that one slice of a job may take: at its end the job stops where nothing is lost, and goes on in the next.

use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The end of a slice. A delivery may not be held for longer than the broker's acknowledgement timeout, whatever the
/// asset's size (RabbitMQ, "Consumers", delivery acknowledgement timeout: 30 min by default).
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    ends: Option<Instant>,
}

impl Budget {
    /// No end: for who waits for the job itself.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { ends: None }
    }

    /// Ends `time` from now.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self { ends: Instant::now().checked_add(time) }
    }

    /// Whether it is spent.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    /// Says yes while there is time left; else that the job goes on in its next slice, which needs no wait.
    ///
    /// # Errors
    /// `NeedsMoreTime` `slice-spent`.
    pub fn check(&self, doing: &str) -> Result<(), Failure> {
        if self.is_spent() {
            let message = format!("{doing}: the slice is over, the rest is for the next one");
            return Err(Failure::needs_more_time("slice-spent", message, Duration::ZERO));
        }
        Ok(())
    }
}
