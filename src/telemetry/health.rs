//! What a running worker can truthfully say of itself: whether it works, why not, since when, and what is down around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use tokio::sync::watch;

/// Whether the worker does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It takes deliveries, and can settle them.
    Ready,
    /// It does not, for this reason.
    NotReady(String),
    /// It has been told to stop, and will never be ready again.
    Stopping,
}

/// The worker's state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Whether it works.
    pub readiness: Readiness,
    /// Since when that is so.
    pub since: OffsetDateTime,
    /// What is down, and since when: jobs that need it wait, all others go on, so that this does not make it unready.
    pub down: BTreeMap<String, OffsetDateTime>,
}

/// Whether the process itself does what it should, whatever is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// It does.
    Alive,
    /// It does not, for this reason: it is to be started anew.
    Stuck(String),
}

/// A heart that has not beaten for so long has stopped. It beats every second.
const SILENCE: Duration = Duration::from_secs(20);

/// The last beat, and for how long a delivery is held that nobody can hold so long.
#[derive(Debug)]
struct Heart {
    beat: Instant,
    stuck: Option<Duration>,
}

/// The state for those who show it, and for the worker, which alone changes it. Cheap to clone. Every change is a log line.
#[derive(Debug, Clone)]
pub struct Health(watch::Sender<State>, Arc<Mutex<Heart>>);

impl Default for Health {
    fn default() -> Self {
        let readiness = Readiness::NotReady("it has not reached its broker yet".to_owned());
        let state = State { readiness, since: OffsetDateTime::now_utc(), down: BTreeMap::new() };
        Self(watch::Sender::new(state), Arc::new(Mutex::new(Heart { beat: Instant::now(), stuck: None })))
    }
}

impl Health {
    /// The state now, and every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// The event loop turns; `stuck`: a delivery is in hand for longer than any may be.
    pub fn beat(&self, stuck: Option<Duration>) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Heart { beat: Instant::now(), stuck };
    }

    /// Whether the process does what it should. A broker that is out of reach is no reason to start it anew.
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        let heart = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        match heart.stuck {
            _ if heart.beat.elapsed() > SILENCE => {
                Liveness::Stuck(format!("the event loop has not turned for {} s", heart.beat.elapsed().as_secs()))
            }
            Some(held) => Liveness::Stuck(format!("a delivery is in hand for {} s", held.as_secs())),
            None => Liveness::Alive,
        }
    }

    /// It takes deliveries and can settle them.
    pub fn ready(&self) {
        if self.turn(Readiness::Ready) {
            tracing::info!("ready");
        }
    }

    /// It does not work. While it stays so the latest reason is kept, and only the first is logged.
    pub fn not_ready(&self, reason: &str) {
        let was_ready = self.0.borrow().readiness == Readiness::Ready;
        if self.turn(Readiness::NotReady(reason.to_owned())) && was_ready {
            tracing::warn!(reason, "not ready");
        }
    }

    /// It has been told to stop.
    pub fn stopping(&self) {
        if self.turn(Readiness::Stopping) {
            tracing::info!(reason = "told to stop", "not ready");
        }
    }

    /// This is down from now on.
    pub fn down(&self, what: &str) {
        self.0.send_modify(|state| {
            state.down.insert(what.to_owned(), OffsetDateTime::now_utc());
        });
    }

    /// This is up again.
    pub fn up(&self, what: &str) {
        self.0.send_if_modified(|state| state.down.remove(what).is_some());
    }

    /// Whether that was a change.
    fn turn(&self, readiness: Readiness) -> bool {
        self.0.send_if_modified(|state| {
            if state.readiness == readiness || state.readiness == Readiness::Stopping {
                return false;
            }
            let was_ready = state.readiness == Readiness::Ready;
            if was_ready || readiness == Readiness::Ready {
                state.since = OffsetDateTime::now_utc();
            }
            state.readiness = readiness;
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_to_stop_is_never_ready_again() {
        let health = Health::default();
        let mut watch = health.watch();
        let readiness = || watch_now(&health);
        assert!(matches!(readiness(), Readiness::NotReady(_)));
        health.ready();
        assert_eq!(readiness(), Readiness::Ready);
        health.not_ready("the session has ended");
        assert_eq!(readiness(), Readiness::NotReady("the session has ended".to_owned()));
        health.stopping();
        health.ready();
        health.not_ready("later");
        assert_eq!(readiness(), Readiness::Stopping);
        assert!(watch.has_changed().unwrap());
        watch.mark_unchanged();
        health.up("storage of site 'east'");
        assert!(!watch.has_changed().unwrap(), "it was not down");
        health.down("storage of site 'east'");
        assert_eq!(watch.borrow_and_update().down.len(), 1);
        health.up("storage of site 'east'");
        assert!(watch.borrow().down.is_empty());
    }

    #[test]
    fn a_delivery_that_is_stuck_is_told_until_it_is_gone() {
        let health = Health::default();
        assert_eq!(health.liveness(), Liveness::Alive);
        health.beat(Some(Duration::from_secs(400)));
        assert_eq!(health.liveness(), Liveness::Stuck("a delivery is in hand for 400 s".to_owned()));
        health.beat(None);
        assert_eq!(health.liveness(), Liveness::Alive);
    }

    fn watch_now(health: &Health) -> Readiness {
        health.watch().borrow().readiness.clone()
    }
}
