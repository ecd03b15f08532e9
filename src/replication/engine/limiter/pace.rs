//! How many requests begin per second once the service has refused one, and when the next of them does.

use std::time::Duration;

use tokio::time::Instant;

/// What began too late for a busy machine is made up for, but no more than this, so that no burst meets the limit.
const BURST: Duration = Duration::from_millis(20);
/// No slower: something has to find out whether the service takes requests again.
const SLOWEST: f64 = 1.0;
/// What a cut leaves. Much more and it takes many refusals to get below a limit, much less and half of it is unused.
const LEFT_BY_CUT: f64 = 0.75;
/// Every worker that shares the limit is to notice that it was met before one of them is cut twice for it.
const BETWEEN_CUTS: Duration = Duration::from_millis(200);
/// A success raises the pace by this, divided by the pace's square root, ...
const RISE: f64 = 6.0;
/// ... but never by more than this, so that a low pace does not meet its limit all the time.
const STEEPEST_RISE: f64 = 0.6;
/// A limit that is not met for so long, though all that the pace allows is made use of, is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(8);
/// A first cut, or one after the requests have changed, goes by what there really was: that and a quarter.
const ABOVE_REAL_RATE: f64 = 1.25;
/// Refusals that are taken for chance: so many for each success, and so many at most at a time.
const FORGIVEN_SHARE: f64 = 0.02;
const FORGIVEN_AT_ONCE: f64 = 3.0;

/// The pace, and what of the refusals is taken for chance.
#[derive(Debug)]
pub struct Pace {
    per_second: Option<f64>,
    next: Instant,
    cuts: u64,
    last_cut: Instant,
    forgiven: f64,
}

impl Pace {
    /// No pace at all, until the first cut.
    pub fn new(now: Instant) -> Self {
        Self { per_second: None, next: now, cuts: 0, last_cut: now, forgiven: FORGIVEN_AT_ONCE }
    }

    /// `None`: the width alone counts.
    pub fn per_second(&self) -> Option<f64> {
        self.per_second
    }

    /// How often it was cut.
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Whether the request that begins now was held back, or would have been but for others; or when it may begin.
    pub fn begin(&mut self, now: Instant) -> Result<bool, Instant> {
        let Some(per_second) = self.per_second else { return Ok(false) };
        if self.next > now {
            return Err(self.next);
        }
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let is_wanted = self.next > earliest;
        self.next = self.next.max(earliest) + Duration::from_secs_f64(1.0 / per_second);
        Ok(is_wanted)
    }

    /// Rises when the request would have begun sooner but for the pace.
    pub fn succeeded(&mut self, now: Instant, was_held_back: bool) {
        self.forgiven = (self.forgiven + FORGIVEN_SHARE).min(FORGIVEN_AT_ONCE);
        if was_held_back && now.duration_since(self.last_cut) >= GONE_AFTER {
            self.per_second = None;
        }
        if let Some(pace) = self.per_second.as_mut().filter(|_| was_held_back) {
            *pace += (RISE / pace.sqrt()).min(STEEPEST_RISE);
        }
    }

    /// Whether one more refusal may be chance.
    pub fn forgives(&mut self) -> bool {
        let is_chance = self.forgiven >= 1.0;
        self.forgiven -= if is_chance { 1.0 } else { 0.0 };
        is_chance
    }

    /// Whether the last cut is long enough ago.
    pub fn may_cut(&self, now: Instant) -> bool {
        self.per_second.is_none() || now.duration_since(self.last_cut) >= BETWEEN_CUTS
    }

    /// Cuts the pace, or begins it: `rate` is about how many requests per second there were.
    pub fn cut(&mut self, now: Instant, rate: f64) {
        let pace = self.per_second.map_or(rate, |pace| pace.min(rate * ABOVE_REAL_RATE) * LEFT_BY_CUT);
        self.per_second = Some(pace.max(SLOWEST));
        self.cuts += 1;
        self.last_cut = now;
        self.forgiven = 0.0;
    }
}
