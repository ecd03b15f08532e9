//! Decides for each letter out of the queue whether this run may move it.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::filter::Filter;
use super::plan::Plan;
use super::summary::{Summary, is_set_aside_after};
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
    /// When the log was read, and what was found there.
    read_at: Option<OffsetDateTime>,
    expected: BTreeMap<String, Option<OffsetDateTime>>,
    missing: BTreeSet<String>,
    /// Letters that would fit but go in circles.
    pub refused: BTreeSet<String>,
}

impl Chooser {
    /// For the letters that a plan means.
    pub fn new(plan: &Plan, run: String) -> Self {
        Self {
            filter: plan.filter.clone(),
            run,
            circling_too: plan.circling_too,
            read_at: plan.read_at,
            expected: plan.expected.clone(),
            missing: plan.expected.keys().cloned().collect(),
            refused: BTreeSet::new(),
        }
    }

    /// Looks at the next letter.
    pub fn choose(&mut self, letter: &Letter) -> Choice {
        let Some(summary) = Summary::read(letter) else { return Choice::Leave };
        if summary.replay_run.as_ref() == Some(&self.run) {
            return Choice::CameBack;
        }
        if !self.filter.matches(&summary) || self.is_later(letter, &summary) {
            return Choice::Leave;
        }
        self.missing.remove(&summary.id);
        if summary.replays >= MOST_REPLAYS && !self.circling_too {
            self.refused.insert(summary.id);
            return Choice::Leave;
        }
        Choice::Take(Box::new(summary))
    }

    /// Whether it was set aside after the look: nobody was asked about it. What the look has found is known by its time,
    /// as clocks differ.
    fn is_later(&self, letter: &Letter, summary: &Summary) -> bool {
        self.read_at.is_some_and(|read_at| is_set_aside_after(letter, read_at))
            && self.expected.get(&summary.id) != Some(&summary.at)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::summary::Shelf;
    use crate::events::parse_time;
    use crate::rabbitmq::{Death, Message};
    use crate::worker::history::SET_ASIDE_AT;

    const BEFORE: &str = "2026-11-20T10:00:00Z";
    const LOOK: &str = "2026-11-20T11:00:00Z";
    const AFTER: &str = "2026-11-20T12:00:00Z";

    fn chooser(expected: &[(&str, &str)]) -> Chooser {
        let (ids, codes, classes, assets) = Default::default();
        let expected: BTreeMap<_, _> = expected.iter().map(|&(id, at)| (id.to_owned(), parse_time(at))).collect();
        Chooser {
            filter: Filter { ids, codes, classes, since: None, assets, queue: Shelf::Dead },
            run: "r".to_owned(),
            circling_too: false,
            read_at: parse_time(LOOK),
            missing: expected.keys().cloned().collect(),
            expected,
            refused: BTreeSet::new(),
        }
    }

    fn letter(id: &str, at: Option<&str>) -> Letter {
        let mut message = Message { message_id: Some(id.to_owned()), ..Message::default() };
        at.into_iter().for_each(|at| message.headers.set(SET_ASIDE_AT, at));
        Letter { message, routing_key: "dead.permanent".to_owned(), death: None }
    }

    fn is_taken(chooser: &mut Chooser, letter: &Letter) -> bool {
        matches!(chooser.choose(letter), Choice::Take(_))
    }

    #[test]
    fn what_was_set_aside_after_the_look_is_left() {
        let mut chooser = chooser(&[("a", BEFORE), ("b", AFTER), ("c", BEFORE)]);
        assert!(is_taken(&mut chooser, &letter("a", Some(BEFORE))));
        assert!(is_taken(&mut chooser, &letter("b", Some(AFTER))), "seen by the look, with another clock");
        assert!(is_taken(&mut chooser, &letter("x", Some(BEFORE))) && is_taken(&mut chooser, &letter("y", None)));
        assert!(!is_taken(&mut chooser, &letter("z", Some(AFTER))));
        assert!(!is_taken(&mut chooser, &letter("c", Some(AFTER))), "back again since");
        assert_eq!(chooser.missing().iter().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_time_that_only_the_queue_tells_selects_nothing() {
        let mut chooser = chooser(&[("a", BEFORE)]);
        chooser.filter.since = parse_time(LOOK);
        let mut given_up = letter("a", None);
        given_up.message.headers.set("x-replication-first-seen", BEFORE);
        given_up.routing_key = "dead.broker".to_owned();
        given_up.death = Some(Death { queue: "work".into(), reason: "delivery_limit".into(), at: parse_time(AFTER) });
        assert!(!is_taken(&mut chooser, &given_up), "the log does not show it as since then");
        chooser.filter.since = parse_time(BEFORE);
        assert!(is_taken(&mut chooser, &given_up));
        chooser.expected.clear();
        assert!(!is_taken(&mut chooser, &given_up), "given up after the look");
    }
}
