//! How long to wait before a call is tried again: full jitter, so that workers never come back in step.

use std::time::Duration;

use backon::BackoffBuilder;

/// No further try of a call in process after so long: what hangs instead of failing is for the retry queues.
pub const TRY_WITHIN: Duration = Duration::from_secs(60);

/// Delays drawn evenly between nothing and a ceiling that doubles from `base` up to `cap`.
#[derive(Debug, Clone, Copy)]
pub struct FullJitter {
    /// The first ceiling.
    pub base: Duration,
    /// The last ceiling.
    pub cap: Duration,
    /// How many delays there are: one less than the tries.
    pub delays: usize,
}

impl FullJitter {
    /// The schedule of control-plane calls: `tries` in all, ceilings of 0.2 to 10 seconds.
    #[must_use]
    pub fn for_tries(tries: usize) -> Self {
        Self { base: Duration::from_millis(200), cap: Duration::from_secs(10), delays: tries.saturating_sub(1) }
    }
}

impl BackoffBuilder for FullJitter {
    type Backoff = Delays;

    fn build(self) -> Delays {
        Delays { ceiling: self.base.min(self.cap), cap: self.cap, left: self.delays }
    }
}

/// The delays of one call.
#[derive(Debug)]
pub struct Delays {
    ceiling: Duration,
    cap: Duration,
    left: usize,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(self.cap);
        Some(ceiling.mul_f64(rand::random_range(0.0..=1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_their_ceilings_and_end() {
        for _ in 0..100 {
            let jitter = FullJitter { base: Duration::from_secs(1), cap: Duration::from_secs(3), delays: 4 };
            let delays: Vec<_> = jitter.build().collect();
            assert_eq!(delays.len(), 4);
            let ceilings = [1, 2, 3, 3].map(Duration::from_secs);
            assert!(delays.iter().zip(ceilings).all(|(delay, ceiling)| *delay <= ceiling), "{delays:?}");
        }
        assert_eq!(FullJitter::for_tries(1).build().count(), 0);
    }
}
