//! How many requests may be under way at once, as far as the service's answers in good time tell.

use std::time::Duration;

use tokio::time::Instant;

use super::LimiterSettings;
use super::latency::Latencies;
use super::pace::GONE_AFTER;
use crate::replication::engine::operation::SizeClass;

/// The width changes once in this time, and only if all of it was used.
const WINDOW: Duration = Duration::from_millis(500);
/// As long as it doubles, as soon as this: the answers at a new width are waited for in any case.
const DOUBLING_WINDOW: Duration = Duration::from_millis(200);
/// What it grows by when it doubles no more.
const STEP: usize = 8;
/// Longer latencies than this, by the shortest ones, hold it.
const HOLDS_AT: f64 = 2.0;
/// Beyond this a doubling would gain less than a fifth: 2 / (5/3) = 1.2.
const DOUBLES_BELOW: f64 = 5.0 / 3.0;
/// A doubling that was too much is tried again after this, and each time that it was too much again after twice as long: one
/// slow moment must not cost the rest of a long copy.
const DOUBLES_AGAIN_AFTER: Duration = Duration::from_secs(4);
/// Requests of one bunch begin within this part of the time that they take.
const BUNCH: u32 = 10;
/// After so long the shortest latency may be out of date.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// The width, and what tells whether a larger one gains anything.
#[derive(Debug)]
pub struct Width {
    settings: LimiterSettings,
    width: usize,
    changed_at: Instant,
    has_grown: bool,
    window_began: Instant,
    was_full: bool,
    doubles_from: Instant,
    /// What it was before it doubled last, until it shows whether that was too much.
    before_doubling: Option<usize>,
    /// How many doublings in a row were too much.
    failed_doublings: u32,
    held_since: Option<Instant>,
    latencies: Latencies,
}

impl Width {
    /// As wide as the settings begin with.
    pub fn new(settings: LimiterSettings, now: Instant) -> Self {
        let start = settings.start.max(1);
        let settings = LimiterSettings { start, cap: settings.cap.max(start) };
        Self {
            settings,
            width: start,
            changed_at: now,
            has_grown: false,
            window_began: now,
            was_full: false,
            doubles_from: now,
            before_doubling: None,
            failed_doublings: 0,
            held_since: None,
            latencies: Latencies::default(),
        }
    }

    /// Requests that may be under way at once.
    pub fn get(&self) -> usize {
        self.width
    }

    /// Whether one more may be under way; if not, all of the width is used.
    pub fn has_room(&mut self, in_flight: usize, now: Instant) -> bool {
        self.review(now);
        self.was_full |= in_flight >= self.width;
        in_flight < self.width
    }

    /// Takes the latency of a request. One that began at another width tells nothing of this one, unless it was hardly under
    /// way when the others came: answers come in a bunch, and the width grows with the last one of them.
    pub fn learn(&mut self, class: SizeClass, began: Instant, took: Duration) {
        let before = if self.has_grown { took / BUNCH } else { Duration::ZERO };
        if began + before >= self.changed_at {
            self.latencies.add(class, took);
        }
    }

    /// Not much wider than what was in use when the service refused more; the pace alone is to hold back now.
    pub fn cut(&mut self, now: Instant, in_flight: usize) {
        self.set(self.width.min((2 * in_flight).max(self.settings.start)), now);
        self.was_full = false;
        self.before_doubling = None;
        self.held_since = None;
        self.doubles_from = now + GONE_AFTER;
    }

    /// Changes the width when its time is over.
    pub fn review(&mut self, now: Instant) {
        let window = if self.doubles(now) { DOUBLING_WINDOW } else { WINDOW };
        if now.duration_since(self.window_began) < window {
            return;
        }
        if !self.was_full {
            self.window_began = now;
            return;
        }
        // Without enough answers at this width the window goes on until there are.
        let Some(stretch) = self.latencies.stretch(self.width) else { return };
        (self.window_began, self.was_full) = (now, false);
        if stretch > HOLDS_AT {
            self.hold(now);
        } else {
            self.widen(now, stretch);
        }
    }

    fn widen(&mut self, now: Instant, stretch: f64) {
        self.held_since = None;
        if self.before_doubling.is_some() {
            self.failed_doublings = 0;
        }
        if stretch < DOUBLES_BELOW && self.doubles(now) {
            self.before_doubling = Some(self.width);
            self.set(self.width * 2, now);
        } else {
            self.before_doubling = None;
            self.set(self.width + STEP, now);
        }
    }

    fn doubles(&self, now: Instant) -> bool {
        now >= self.doubles_from
    }

    fn hold(&mut self, now: Instant) {
        if let Some(before) = self.before_doubling.take() {
            let wait = DOUBLES_AGAIN_AFTER.saturating_mul(1 << self.failed_doublings.min(5));
            self.failed_doublings += 1;
            self.doubles_from = now + wait;
            self.set(before, now);
        }
        let since = *self.held_since.get_or_insert(now);
        if now.duration_since(since) >= LONGEST_HOLD {
            // At half the width a service that queues loses nothing, and shows its shortest latency again. One that has
            // become slower for other reasons shows that too.
            self.latencies = Latencies::default();
            self.held_since = None;
            // not before the queue of the old width is gone
            self.doubles_from = now + WINDOW;
            self.set(self.width / 2, now);
        }
    }

    fn set(&mut self, width: usize, now: Instant) {
        let width = width.clamp(self.settings.start, self.settings.cap);
        if width != self.width {
            self.has_grown = width > self.width;
            (self.width, self.changed_at) = (width, now);
            self.latencies.begin_anew();
        }
    }
}
