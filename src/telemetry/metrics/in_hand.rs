//! The deliveries in hand: how many there are, how old, what each of them is about and how far it has come.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;
use time::OffsetDateTime;

use super::{IN_FLIGHT, OLDEST};

/// Others' texts are kept up to so many characters.
const LONGEST_TEXT: usize = 256;

/// What is known of a delivery when it arrives.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The message's id.
    pub message_id: Option<String>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Continuations before it.
    pub slice: u32,
    /// When a worker first saw it.
    pub first_seen: OffsetDateTime,
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What is being done.
    pub step: &'static str,
    /// Files that are complete at the replica.
    pub files_done: u64,
    /// Files of the asset; 0 before they are listed.
    pub files_total: u64,
    /// Bytes that are at the replica, also of files that are not complete yet.
    pub bytes_done: u64,
    /// Bytes of the asset; 0 before they are listed.
    pub bytes_total: u64,
    /// How fast this delivery has copied: all its bytes over all its time for them.
    pub bytes_per_second: u64,
    /// Copy requests under way.
    pub copy_requests: u64,
}

/// A delivery in hand, as it is at one moment.
#[derive(Debug, Clone)]
pub struct JobInHand {
    /// Which delivery of this process it is, from 1.
    pub number: u64,
    /// What was known when it arrived.
    pub arrived: Arrived,
    /// The asset's id, name or location; `None` before the message is read.
    pub asset: Option<String>,
    /// The site it is copied from; `None` before that is known.
    pub source: Option<String>,
    /// The site it is copied to; `None` before that is known.
    pub replica: Option<String>,
    /// For how long it is in hand.
    pub held: Duration,
    /// How far it has come.
    pub standing: Standing,
}

/// The deliveries in hand. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InHand(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    next: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Clone)]
struct Held {
    arrived: Arrived,
    asset: Option<String>,
    source: Option<String>,
    replica: Option<String>,
    since: Instant,
    look: Arc<dyn Fn() -> Standing + Send + Sync>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("arrived", &self.arrived).finish_non_exhaustive()
    }
}

/// One of them; counted until it is dropped.
#[derive(Debug)]
pub struct Holding {
    of: InHand,
    number: u64,
}

impl InHand {
    /// Takes one; `look` tells, whenever it is asked and at once, how far it has come.
    #[must_use]
    pub fn take(&self, mut arrived: Arrived, look: impl Fn() -> Standing + Send + Sync + 'static) -> Holding {
        arrived.message_id = arrived.message_id.map(short);
        let (asset, source, replica) = (None, None, None);
        let held = Held { arrived, asset, source, replica, since: Instant::now(), look: Arc::new(look) };
        let number = self.change(|all| {
            all.next += 1;
            all.held.insert(all.next, held);
            all.next
        });
        Holding { of: self.clone(), number }
    }

    /// For how long the one that was taken first is in hand.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.held.values().map(|held| held.since.elapsed()).max()
    }

    /// How many there are, and up to `most` of them: those that were taken first.
    #[must_use]
    pub fn list(&self, most: usize) -> (usize, Vec<JobInHand>) {
        let (count, held): (usize, Vec<(u64, Held)>) = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (all.held.len(), all.held.iter().take(most).map(|(number, held)| (*number, held.clone())).collect())
        };
        let job = |(number, Held { arrived, asset, source, replica, since, look })| JobInHand {
            number,
            arrived,
            asset,
            source,
            replica,
            held: since.elapsed(),
            standing: look(),
        };
        (count, held.into_iter().map(job).collect())
    }

    /// Tells how many there are, and how old the oldest is.
    pub fn tell(&self) {
        self.change(|_| ());
    }

    fn change<T>(&self, change: impl FnOnce(&mut All) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut all);
        let now = OffsetDateTime::now_utc();
        let age = |held: &Held| (now - held.arrived.first_seen).as_seconds_f64();
        gauge!(IN_FLIGHT).set(all.held.len() as f64);
        gauge!(OLDEST).set(all.held.values().map(age).fold(0.0, f64::max));
        changed
    }
}

impl Holding {
    /// The message asks for this asset, between these sites as far as they are known.
    pub fn asks(&self, asset: String, source: Option<String>, replica: Option<String>) {
        let mut all = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.held.get_mut(&self.number) {
            (held.asset, held.source, held.replica) = (Some(short(asset)), source, replica);
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.of.change(|all| all.held.remove(&self.number));
    }
}

fn short(text: String) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(in_hand: &InHand, id: &str, first_seen: OffsetDateTime) -> Holding {
        let arrived = Arrived { message_id: Some(id.to_owned()), attempt: 1, slice: 0, first_seen };
        in_hand.take(arrived, || Standing {
            step: "resolve",
            files_done: 1,
            files_total: 2,
            bytes_done: 3,
            bytes_total: 4,
            bytes_per_second: 5,
            copy_requests: 6,
        })
    }

    #[test]
    fn what_is_in_hand_is_known_until_it_is_let_go() {
        let in_hand = InHand::default();
        assert_eq!(in_hand.longest(), None);
        let one = take(&in_hand, "one", OffsetDateTime::now_utc());
        let other = take(&in_hand, &"ü".repeat(300), OffsetDateTime::UNIX_EPOCH);
        other.asks("asset".to_owned(), Some("west".to_owned()), None);
        assert!(in_hand.longest().is_some());
        let (count, listed) = in_hand.list(1);
        assert_eq!((count, listed.len(), listed[0].arrived.message_id.as_deref()), (2, 1, Some("one")));
        drop(one);
        assert!(in_hand.longest().is_some());
        let (_, listed) = in_hand.list(9);
        let [job] = listed.as_slice() else { panic!("{listed:?}") };
        assert_eq!((job.asset.as_deref(), job.source.as_deref()), (Some("asset"), Some("west")));
        assert_eq!((job.replica.as_ref(), job.standing.bytes_done), (None, 3));
        assert_eq!(job.arrived.message_id.as_ref().map(|id| id.chars().count()), Some(LONGEST_TEXT));
        drop(other);
        assert_eq!((in_hand.longest(), in_hand.list(9).0), (None, 0));
    }
}
