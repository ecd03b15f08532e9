//! Bandwidth that is shared: each piece goes through after the pieces before it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An account's bandwidth in one direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe(Mutex<Option<Instant>>);

impl Pipe {
    /// When a piece that takes this long is through.
    pub(crate) fn reserve(&self, takes: Duration) -> Instant {
        let now = Instant::now();
        if takes.is_zero() {
            return now;
        }
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let through = free.map_or(now, |free| free.max(now)) + takes;
        *free = Some(through);
        through
    }
}
