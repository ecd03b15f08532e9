//! What a running worker can truthfully say of itself: whether it works, why not, since when, and what is down around it.

use std::collections::BTreeMap;

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

/// The state for those who show it, and for the worker, which alone changes it. Cheap to clone. Every change is a log line.
#[derive(Debug, Clone)]
pub struct Health(watch::Sender<State>);

impl Default for Health {
    fn default() -> Self {
        let readiness = Readiness::NotReady("it has not reached its broker yet".to_owned());
        Self(watch::Sender::new(State { readiness, since: OffsetDateTime::now_utc(), down: BTreeMap::new() }))
    }
}

impl Health {
    /// The state now, and every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.0.subscribe()
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

    fn watch_now(health: &Health) -> Readiness {
        health.watch().borrow().readiness.clone()
    }
}
