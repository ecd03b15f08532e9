//! The state of all accounts and the rules for changing it, without any HTTP.

mod account;
mod assets;
mod content;
mod create;
mod endpoints;
mod entity;
mod error;
mod files;
mod jobs;
mod locators;
mod navigation;
mod update;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use account::Account;
pub(crate) use assets::{container_of, uuid_of};
pub use entity::Entity;
pub(crate) use error::AmsError;
pub(crate) use jobs::{JobState, NewJob, NotificationTarget};
pub(crate) use locators::LOCATOR_PREFIX;

use super::faults::{Down, FaultRule};
use super::traffic::Request;

/// Everything that changes while the emulator runs.
#[derive(Default)]
pub(crate) struct State {
    /// The accounts by name.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// The faults still to come, in the order in which they were asked for.
    pub(crate) faults: Vec<FaultRule>,
    /// Every request so far.
    pub(crate) requests: Vec<Request>,
    /// The requests that a fault has delayed, noted down when the delay began.
    pub(crate) delayed: Vec<Request>,
    /// Every token so far.
    pub(crate) issued_tokens: Vec<String>,
    /// Tokens that are no longer good.
    pub(crate) revoked_tokens: HashSet<String>,
    /// Data centres that are down.
    pub(crate) down: BTreeMap<String, Down>,
}

/// The state behind its lock, which is never held over an await.
#[derive(Default)]
pub(crate) struct SharedState(Mutex<State>);

impl std::fmt::Debug for SharedState {
    // the state holds tokens and account keys
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SharedState(..)")
    }
}

impl SharedState {
    /// Locks the state; a panic elsewhere leaves nothing half-done that matters here.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// An account that is known to exist since a token or a listener names it.
    pub(crate) fn account(&mut self, name: &str) -> Result<&mut Account, AmsError> {
        self.accounts.get_mut(name).ok_or_else(|| AmsError::new(403, format!("the account '{name}' does not exist")))
    }
}
