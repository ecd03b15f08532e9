//! A token bucket: how many requests an account takes per second.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Starts full, and holds a tenth of a second's worth, one at least.
#[derive(Debug, Default)]
pub(crate) struct Bucket(Mutex<Option<(f64, Instant)>>);

impl Bucket {
    /// Whether one more request is within the limit.
    pub(crate) fn take(&self, per_second: Option<f64>) -> bool {
        let Some(rate) = per_second else { return true };
        let now = Instant::now();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = (rate / 10.0).max(1.0);
        let tokens = state.map_or(size, |(tokens, since)| (tokens + rate * (now - since).as_secs_f64()).min(size));
        let granted = tokens >= 1.0;
        *state = Some((if granted { tokens - 1.0 } else { tokens }, now));
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lets_through_what_the_limit_says() {
        let bucket = Bucket::default();
        let taken = |times: usize| (0..times).filter(|_| bucket.take(Some(100.0))).count();
        assert_eq!(taken(50), 10);
        tokio::time::advance(Duration::from_millis(50)).await;
        assert_eq!(taken(50), 5);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(taken(50), 10);
        assert!(bucket.take(None));
        let slow = Bucket::default();
        assert!(slow.take(Some(2.0)) && !slow.take(Some(2.0)));
    }
}
