//! The letters as the log tells them: what arrived, what was done about it since, what is still open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use time::OffsetDateTime;

use crate::events::AuditRecord;
use crate::rabbitmq::{DeadLog, LogEntry, RabbitmqError};
use crate::settings::RabbitmqSettings;
use crate::worker::history::SET_ASIDE_AT;

use super::summary::{BROKER_KEY, Shelf, Summary};

/// Where a letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It lies in its queue.
    Open,
    /// Somebody began to move it and has not recorded the end: it may be gone.
    Unsure,
    /// It has left the queue by an operator's action: the word for it.
    Done(&'static str),
}

impl State {
    /// The word for it, in JSON and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Unsure => "unsure",
            Self::Done(word) => word,
        }
    }
}

/// A letter and its history. Several messages of one id are one letter: the latest stands for all.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The letter as it arrived last.
    pub summary: Summary,
    /// Where in the log that is.
    pub offset: u64,
    /// What operators did, in order.
    pub audits: Vec<Arc<AuditRecord>>,
    arrived: u32,
    left: u32,
    /// For each run that has begun to move it: how many messages it may still be moving.
    begun: BTreeMap<String, u32>,
    /// When its messages were set aside, as they say themselves, each with the run that had replayed it.
    set_aside: BTreeSet<(String, Option<String>)>,
}

impl Entry {
    /// Where it stands.
    pub fn state(&self) -> State {
        match self.audits.iter().rev().find(|audit| audit.action.is_done()) {
            _ if self.copies() > 0 && self.begun.values().all(|&count| count == 0) => State::Open,
            _ if self.copies() > 0 => State::Unsure,
            Some(audit) => State::Done(audit.action.name()),
            None => State::Open,
        }
    }

    /// Whether it is still to be dealt with.
    pub fn is_open(&self) -> bool {
        self.copies() > 0
    }

    /// How many messages of this id lie in the queue.
    pub fn copies(&self) -> u32 {
        self.arrived - self.left
    }

    /// The record of the run that began last to move it and may have ended before it recorded that it had.
    pub fn doubt(&self) -> Option<&Arc<AuditRecord>> {
        let in_doubt = |run: &str| self.begun.get(run).is_some_and(|&count| count > 0);
        self.audits.iter().rev().find(|audit| !audit.action.is_done() && in_doubt(&audit.run))
    }

    /// One of its messages has left the queue.
    fn leave(&mut self) {
        self.left = (self.left + 1).min(self.arrived);
        if !self.is_open() {
            // The runs stay known: what they record later is counted already.
            self.begun.values_mut().for_each(|count| *count = 0);
        }
    }

    /// Whether a run may still be moving one of its messages; that one is then settled.
    fn settle(&mut self, run: &str) -> bool {
        let count = self.begun.get_mut(run).filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    }
}

/// All letters of the log.
#[derive(Debug, Default)]
pub struct Register {
    entries: HashMap<(Shelf, String), Entry>,
    /// When it was begun to be read.
    pub read_at: Option<OffsetDateTime>,
}

impl Register {
    /// Reads the whole log, which changes nothing.
    ///
    /// # Errors
    /// When the broker cannot be used, or there is no log.
    pub async fn load(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        let mut log = DeadLog::read(settings, 0).await?;
        let mut register = Self { read_at: Some(OffsetDateTime::now_utc()), ..Self::default() };
        while let Some(entry) = log.next().await? {
            register.enter(&entry);
        }
        log.close().await;
        Ok(register)
    }

    /// Takes in the next entry of the log.
    pub fn enter(&mut self, entry: &LogEntry) {
        if AuditRecord::is_one(&entry.letter.routing_key) {
            if let Some(record) = AuditRecord::parse(&entry.letter.message.body) {
                self.note(&Arc::new(record));
            }
        } else if let Some(summary) = Summary::read(&entry.letter) {
            self.arrive(summary, entry);
        }
    }

    fn arrive(&mut self, summary: Summary, log: &LogEntry) {
        let key = (summary.queue, summary.id.clone());
        let run = summary.replay_run.clone();
        // What the broker gives up may still carry the time of an earlier life.
        let own = Some(&log.letter).filter(|letter| letter.routing_key != BROKER_KEY);
        let at = own.and_then(|letter| letter.message.headers.get_text(SET_ASIDE_AT)).map(str::to_owned);
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            summary: summary.clone(),
            offset: log.offset,
            audits: Vec::new(),
            arrived: 0,
            left: 0,
            begun: BTreeMap::new(),
            set_aside: BTreeSet::new(),
        });
        // While its queue is full, the log takes every try to set it aside.
        if at.is_some_and(|at| !entry.set_aside.insert((at, run.clone()))) {
            return;
        }
        // It comes from a run whose record is not there yet, or never will be: so that one has moved it.
        if run.is_some_and(|run| entry.settle(&run)) {
            entry.leave();
        }
        entry.arrived += 1;
        (entry.summary, entry.offset) = (summary, log.offset);
    }

    fn note(&mut self, record: &Arc<AuditRecord>) {
        let Some(shelf) = Shelf::of(&record.queue) else { return };
        for id in &record.ids {
            let Some(entry) = self.entries.get_mut(&(shelf, id.clone())) else { continue };
            if !record.action.is_done() {
                *entry.begun.entry(record.run.clone()).or_default() += 1;
            } else if entry.settle(&record.run) || !entry.begun.contains_key(&record.run) {
                entry.leave();
            }
            entry.audits.push(Arc::clone(record));
        }
    }

    /// The letters of one queue, oldest first.
    pub fn of(&self, shelf: Shelf) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.values().filter(|entry| entry.summary.queue == shelf).collect();
        entries.sort_by_key(|entry| entry.offset);
        entries
    }

    /// The letters of one queue that somebody calls so: by the whole id, else by its beginning.
    pub fn called(&self, shelf: Shelf, name: &str) -> Vec<&Entry> {
        let all = self.of(shelf);
        let exact: Vec<_> = all.iter().copied().filter(|entry| entry.summary.is_called(name)).collect();
        if !exact.is_empty() {
            return exact;
        }
        all.into_iter().filter(|entry| entry.summary.id.starts_with(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::AuditAction;
    use crate::rabbitmq::{Letter, Message};

    fn letter(offset: u64, id: &str, run: Option<&str>) -> LogEntry {
        let mut message = Message { message_id: Some(id.to_owned()), ..Message::default() };
        if let Some(run) = run {
            message.headers.set("x-replication-replay-run", run);
        }
        LogEntry { offset, letter: Letter { message, routing_key: "dead.permanent".to_owned(), death: None } }
    }

    fn aside(offset: u64, at: &str, run: Option<&str>) -> LogEntry {
        let mut entry = letter(offset, "a", run);
        entry.letter.message.headers.set(SET_ASIDE_AT, at);
        entry
    }

    fn audit(offset: u64, action: AuditAction, run: &str, ids: &[&str]) -> LogEntry {
        let record = AuditRecord {
            action,
            run: run.to_owned(),
            who: "ada".to_owned(),
            at: String::new(),
            queue: "dead".to_owned(),
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            selection: String::new(),
            reason: None,
            new_id: None,
        };
        let message = Message { body: record.encode().into(), ..Message::default() };
        LogEntry { offset, letter: Letter { message, routing_key: record.routing_key(), death: None } }
    }

    fn states(log: &[LogEntry]) -> Vec<String> {
        let mut register = Register::default();
        log.iter().for_each(|entry| register.enter(entry));
        let told = |entry: &Entry| format!("{} {} x{}", entry.summary.id, entry.state().name(), entry.copies());
        register.of(Shelf::Dead).into_iter().map(told).collect()
    }

    #[test]
    fn what_was_done_since_is_told_apart_and_what_comes_back_is_open_again() {
        let log = [
            letter(0, "a", None),
            letter(1, "b", None),
            letter(2, "c", None),
            audit(3, AuditAction::Replaying, "r1", &["a"]),
            audit(4, AuditAction::Replayed, "r1", &["a"]),
            audit(5, AuditAction::Discarding, "r2", &["b"]),
            audit(6, AuditAction::Discarded, "r2", &["b", "never-seen"]),
        ];
        assert_eq!(states(&log), ["a replayed x0", "b discarded x0", "c open x1"]);
        let back = [log.to_vec(), vec![letter(7, "a", Some("r1"))]].concat();
        assert_eq!(states(&back), ["b discarded x0", "c open x1", "a open x1"]);
    }

    #[test]
    fn a_run_that_was_cut_off_leaves_doubt_until_the_letter_is_seen_again() {
        let cut = [letter(0, "a", None), audit(1, AuditAction::Replaying, "r1", &["a"])];
        assert_eq!(states(&cut), ["a unsure x1"]);
        let back = [cut.to_vec(), vec![letter(2, "a", Some("r1"))]].concat();
        assert_eq!(states(&back), ["a open x1"]);
        let again = [cut.to_vec(), vec![audit(2, AuditAction::Replayed, "r2", &["a"])]].concat();
        assert_eq!(states(&again), ["a replayed x0"]);
    }

    #[test]
    fn a_doubt_is_about_the_run_that_was_cut_off() {
        let log = [
            letter(0, "a", None),
            letter(1, "a", None),
            audit(2, AuditAction::Discarding, "r1", &["a"]),
            audit(3, AuditAction::Replaying, "r2", &["a"]),
            audit(4, AuditAction::Replayed, "r2", &["a"]),
        ];
        let mut register = Register::default();
        log.iter().for_each(|entry| register.enter(entry));
        let doubts: Vec<_> = register.of(Shelf::Dead).into_iter().filter_map(Entry::doubt).collect();
        assert_eq!(doubts.iter().map(|doubt| doubt.action.done()).collect::<Vec<_>>(), [AuditAction::Discarded]);
    }

    #[test]
    fn two_messages_of_one_id_leave_one_by_one() {
        let log = [letter(0, "a", None), letter(1, "a", None), audit(2, AuditAction::Replayed, "r", &["a"])];
        assert_eq!(states(&log[..2]), ["a open x2"]);
        assert_eq!(states(&log), ["a open x1"]);
        let twice = audit(3, AuditAction::Replayed, "r", &["a", "a", "a"]);
        assert_eq!(states(&[log.to_vec(), vec![twice]].concat()), ["a replayed x0"]);
    }

    #[test]
    fn a_letter_that_is_back_before_its_run_records_it_is_open() {
        let log = [
            letter(0, "a", None),
            letter(1, "b", None),
            audit(2, AuditAction::Replaying, "r1", &["a", "b"]),
            letter(3, "a", Some("r1")),
            audit(4, AuditAction::Replayed, "r1", &["a", "b"]),
        ];
        assert_eq!(states(&log[..4]), ["b unsure x1", "a open x1"]);
        assert_eq!(states(&log), ["b replayed x0", "a open x1"]);
        let gone = audit(5, AuditAction::Discarded, "r2", &["a"]);
        assert_eq!(states(&[log.to_vec(), vec![gone]].concat()), ["b replayed x0", "a discarded x0"]);
    }

    #[test]
    fn two_messages_that_one_run_moves_leave_one_by_one() {
        let log = [
            letter(0, "a", None),
            letter(1, "a", None),
            audit(2, AuditAction::Replaying, "r1", &["a", "a"]),
            letter(3, "a", Some("r1")),
            audit(4, AuditAction::Replayed, "r1", &["a"]),
        ];
        assert_eq!(states(&log[..4]), ["a unsure x2"]);
        assert_eq!(states(&log), ["a open x1"]);
    }

    #[test]
    fn what_is_set_aside_again_and_again_while_the_queue_is_full_is_one_message() {
        let log = [aside(0, "t1", None), aside(1, "t1", None), aside(2, "t2", None), aside(3, "t1", None)];
        assert_eq!(states(&log), ["a open x2"]);
        let replayed = [
            aside(0, "t1", None),
            audit(1, AuditAction::Replaying, "r1", &["a"]),
            aside(2, "t2", Some("r1")),
            aside(3, "t2", Some("r1")),
            audit(4, AuditAction::Replayed, "r1", &["a"]),
        ];
        assert_eq!(states(&replayed), ["a open x1"]);
    }
}
