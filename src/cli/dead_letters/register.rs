//! The letters as the log tells them: what arrived, what was done about it since, what is still open.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::events::AuditRecord;
use crate::rabbitmq::{DeadLog, LogEntry, RabbitmqError};
use crate::settings::RabbitmqSettings;

use super::summary::{Shelf, Summary};

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
    begun: BTreeSet<String>,
}

impl Entry {
    /// Where it stands.
    pub fn state(&self) -> State {
        match self.audits.iter().rev().find(|audit| audit.action.is_done()) {
            _ if self.copies() > 0 && self.begun.is_empty() => State::Open,
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
}

/// All letters of the log.
#[derive(Debug, Default)]
pub struct Register {
    entries: HashMap<(Shelf, String), Entry>,
}

impl Register {
    /// Reads the whole log, which changes nothing.
    ///
    /// # Errors
    /// When the broker cannot be used, or there is no log.
    pub async fn load(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        let mut log = DeadLog::read(settings, 0).await?;
        let mut register = Self::default();
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
            self.arrive(summary, entry.offset);
        }
    }

    fn arrive(&mut self, summary: Summary, offset: u64) {
        match self.entries.get_mut(&(summary.queue, summary.id.clone())) {
            None => {
                let key = (summary.queue, summary.id.clone());
                let (audits, begun) = (Vec::new(), BTreeSet::new());
                self.entries.insert(key, Entry { summary, offset, audits, arrived: 1, left: 0, begun });
            }
            Some(known) => {
                // It comes from a run that was cut off: so that one has moved it after all.
                if summary.replay_run.as_ref().is_some_and(|run| known.begun.remove(run)) {
                    known.left = (known.left + 1).min(known.arrived);
                }
                known.arrived += 1;
                (known.summary, known.offset) = (summary, offset);
            }
        }
    }

    fn note(&mut self, record: &Arc<AuditRecord>) {
        let Some(shelf) = Shelf::of(&record.queue) else { return };
        for id in &record.ids {
            let Some(entry) = self.entries.get_mut(&(shelf, id.clone())) else { continue };
            if record.action.is_done() {
                entry.left = (entry.left + 1).min(entry.arrived);
                entry.begun.remove(&record.run);
                if !entry.is_open() {
                    entry.begun.clear();
                }
            } else {
                entry.begun.insert(record.run.clone());
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
    fn two_messages_of_one_id_leave_one_by_one() {
        let log = [letter(0, "a", None), letter(1, "a", None), audit(2, AuditAction::Replayed, "r", &["a"])];
        assert_eq!(states(&log[..2]), ["a open x2"]);
        assert_eq!(states(&log), ["a open x1"]);
        let twice = audit(3, AuditAction::Replayed, "r", &["a", "a", "a"]);
        assert_eq!(states(&[log.to_vec(), vec![twice]].concat()), ["a replayed x0"]);
    }
}
