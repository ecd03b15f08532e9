//! The clients of all sites with the secrets of this moment: files of secrets are read again while the worker runs.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::{Failure, FailureKind};
use crate::replication::AllSites;
use crate::settings::Settings;

/// How long files are taken for unchanged after a look at them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long after it was first seen a message that is denied is tried again, where secrets are in files: a key that was
/// rolled is refused until its file is written anew, which takes Kubernetes a minute or two ("Secrets", kubelet sync period).
const PATIENCE: Duration = Duration::from_secs(900);

/// What services say to a key, secret or certificate that they do not take.
const DENIALS: [&str; 4] = ["storage-denied", "source-denied", "token-refused", "unauthorized"];

/// The clients, and when the files were looked at.
#[derive(Debug)]
pub struct CurrentSites {
    has_files: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    sites: AllSites,
    version: u64,
    looked: Instant,
    complaint: Option<String>,
}

/// Clients as a job uses them from its beginning to its end.
#[derive(Debug, Clone)]
pub struct Used {
    pub(super) sites: AllSites,
    version: u64,
}

impl CurrentSites {
    /// Takes what was made at the start.
    pub(super) fn new(settings: &Settings, sites: AllSites) -> Self {
        let (settings, looked) = (settings.clone(), Instant::now());
        let has_files = settings.has_secret_files();
        Self { has_files, state: Mutex::new(State { settings, sites, version: 0, looked, complaint: None }) }
    }

    /// The clients for a job that begins now.
    pub(super) fn get(&self) -> Used {
        let mut state = self.lock();
        if self.has_files && state.looked.elapsed() >= LOOK_EVERY {
            state.look();
        }
        Used { sites: state.sites.clone(), version: state.version }
    }

    /// The last ones, whatever the files hold.
    pub(super) fn last(&self) -> AllSites {
        self.lock().sites.clone()
    }

    /// What a job's failure is, seen that a secret may have changed since it began or be about to change.
    pub(super) fn judge(&self, mut failure: Failure, used: &Used, age: Duration) -> Failure {
        if !self.has_files || failure.kind != FailureKind::Permanent || !DENIALS.contains(&failure.code) {
            return failure;
        }
        let mut state = self.lock();
        state.look();
        if state.version != used.version {
            failure.kind = FailureKind::NeedsMoreTime { check_after: Duration::ZERO };
        } else if age < PATIENCE {
            failure.kind = FailureKind::Transient { retry_after: None };
        }
        failure
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // a panic elsewhere leaves nothing half done in here
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Reads the files; what cannot be used is said once, and the clients stay as they are.
    fn look(&mut self) {
        self.looked = Instant::now();
        let made = match self.settings.with_renewed_secrets() {
            Ok(None) => return self.complaint = None,
            Ok(Some(settings)) => {
                self.sites.renewed(&settings).map(|sites| (settings, sites)).map_err(|failure| failure.to_string())
            }
            Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        };
        match made {
            Ok((settings, sites)) => {
                (self.settings, self.sites, self.complaint) = (settings, sites, None);
                self.version += 1;
                tracing::info!("secrets of sites have changed in their files: jobs that begin now use the new ones");
            }
            Err(complaint) if self.complaint.as_ref() != Some(&complaint) => {
                tracing::warn!("secrets of sites cannot be read again, the old ones stay in use: {complaint}");
                self.complaint = Some(complaint);
            }
            Err(_) => {}
        }
    }
}
