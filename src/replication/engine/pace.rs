//! When the next request of a route may begin: one limiter for its two storage accounts, one cap on its bytes.

use super::limiter::{Limiter, LimiterSettings, LimiterState, Permit};
use super::rate_cap::RateCap;
use super::schedule::Terms;
use crate::settings::CopySettings;
use crate::telemetry::CopyMetrics;

/// One MiB in bytes.
const MIB: u64 = 1024 * 1024;
/// Requests at once before anything is known: what other copying programs do at all times.
const START: usize = 32;
/// Requests that begin in each slice, however short it is.
const AT_LEAST: usize = 16;

/// Shared by all jobs of a route; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pace {
    limiter: Limiter,
    cap: RateCap,
    terms: Terms,
    metrics: CopyMetrics,
}

impl Pace {
    /// By the settings; counts as these metrics.
    pub fn new(settings: &CopySettings, metrics: CopyMetrics) -> Self {
        let cap_bytes_per_second = Some(settings.max_mib_per_second * MIB).filter(|&cap| cap > 0);
        let (start, slots) = (START.min(settings.max_requests), settings.max_requests);
        Self {
            limiter: Limiter::new(LimiterSettings { start, cap: slots }),
            cap: RateCap::new(cap_bytes_per_second),
            terms: Terms { slots, cap_bytes_per_second },
            metrics,
        }
    }

    /// What a schedule has to know.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What its route counts.
    pub fn metrics(&self) -> &CopyMetrics {
        &self.metrics
    }

    /// Tells how many requests are under way.
    pub fn show(&self) {
        let state = self.limiter.state();
        self.metrics.requests_at_once(state.in_flight, state.width);
    }

    /// So many requests begin in each slice, however short it is.
    pub fn at_least(&self) -> usize {
        AT_LEAST.min(self.terms.slots)
    }

    /// How many requests are under way, and what was found out of how many may be.
    pub fn state(&self) -> LimiterState {
        self.limiter.state()
    }

    /// Waits until a request for so many bytes may begin.
    pub async fn admit(&self, bytes: u64) -> Permit {
        self.cap.take(bytes).await;
        self.limiter.acquire().await
    }

    /// The same for one that moved no bytes the last time.
    pub async fn readmit(&self) -> Permit {
        self.limiter.acquire().await
    }
}
