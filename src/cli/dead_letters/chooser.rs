//! Decides for each letter out of the queue whether this run may move it.

use std::collections::BTreeSet;

use super::filter::Filter;
use super::summary::Summary;
use crate::rabbitmq::Letter;

/// A letter that was replayed so often is not replayed again without force: it goes in circles.
pub const MOST_REPLAYS: u64 = 3;

/// What the run thinks of a letter.
#[derive(Debug)]
pub enum Choice {
    /// To be moved.
    Take(Box<Summary>),
    /// To be left alone.
    Leave,
    /// It was moved by this very run and is here again.
    CameBack,
}

/// The chooser of one run.
pub struct Chooser {
    filter: Filter,
    run: String,
    /// Whether letters that go in circles are taken, too.
    circling_too: bool,
    missing: BTreeSet<String>,
    /// Letters that would fit but go in circles.
    pub refused: BTreeSet<String>,
}

impl Chooser {
    /// For letters that the filter means, those of the log among them being `expected`.
    pub fn new(filter: Filter, run: String, circling_too: bool, expected: impl Iterator<Item = String>) -> Self {
        Self { filter, run, circling_too, missing: expected.collect(), refused: BTreeSet::new() }
    }

    /// Looks at the next letter.
    pub fn choose(&mut self, letter: &Letter) -> Choice {
        let Some(summary) = Summary::read(letter) else { return Choice::Leave };
        if summary.replay_run.as_ref() == Some(&self.run) {
            return Choice::CameBack;
        }
        if !self.filter.matches(&summary) {
            return Choice::Leave;
        }
        self.missing.remove(&summary.id);
        if summary.replays >= MOST_REPLAYS && !self.circling_too {
            self.refused.insert(summary.id);
            return Choice::Leave;
        }
        Choice::Take(Box::new(summary))
    }

    /// Whether there is nothing more to find: all that was asked for by id is found.
    pub fn is_satisfied(&self) -> bool {
        !self.filter.ids.is_empty() && self.missing.is_empty()
    }

    /// Letters of the log that were not met in the queue.
    pub fn missing(&self) -> &BTreeSet<String> {
        &self.missing
    }
}
