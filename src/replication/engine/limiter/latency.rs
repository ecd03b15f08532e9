//! By how much answers take longer than they once did, among requests of about one size.

use std::collections::VecDeque;
use std::time::Duration;

use crate::replication::engine::operation::SizeClass;

/// The median of fewer answers is chance.
const ENOUGH: usize = 8;
/// The latest answers show best what a width does.
const KEPT: usize = 64;

/// The latest latencies of each class, and the shortest median that each has had.
#[derive(Debug, Default)]
pub struct Latencies {
    classes: [Class; SizeClass::COUNT],
    /// Answers since it began anew.
    answers: usize,
}

#[derive(Debug, Default)]
struct Class {
    recent: VecDeque<Duration>,
    shortest_median: Option<Duration>,
}

impl Latencies {
    /// Takes one answer's latency.
    pub fn add(&mut self, class: SizeClass, took: Duration) {
        self.answers += 1;
        let recent = &mut self.classes[class.index()].recent;
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(took);
    }

    /// Keeps the shortest medians only.
    pub fn begin_anew(&mut self) {
        self.answers = 0;
        self.classes.iter_mut().for_each(|class| class.recent.clear());
    }

    /// The median by the shortest one, of that class in which it is longest; `None` with too few answers in all of them, or
    /// of fewer than so many requests at once since it began anew: the first ones have met shorter queues than the others.
    pub fn stretch(&mut self, width: usize) -> Option<f64> {
        if self.answers < width {
            return None;
        }
        self.classes.iter_mut().filter_map(Class::stretch).reduce(f64::max)
    }
}

impl Class {
    fn stretch(&mut self) -> Option<f64> {
        if self.recent.len() < ENOUGH {
            return None;
        }
        let mut recent: Vec<Duration> = self.recent.drain(..).collect();
        let middle = recent.len() / 2;
        let median = *recent.select_nth_unstable(middle).1;
        let shortest = *self.shortest_median.insert(self.shortest_median.map_or(median, |least| least.min(median)));
        // below a millisecond it is the clock that is measured
        Some(median.as_secs_f64() / shortest.as_secs_f64().max(0.001))
    }
}
