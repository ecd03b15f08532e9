//! What every job of a worker shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::brake::Brakes;
use super::current_sites::CurrentSites;
use super::isolation::Isolation;
use super::outbox::Refusals;
use crate::rabbitmq::Topology;
use crate::replication::AllSites;
use crate::settings::{RabbitmqSettings, Settings, WorkerSettings};
use crate::telemetry::{Health, InHand};

/// What every job of a worker shares.
#[derive(Debug)]
pub struct Context {
    pub(super) sites: CurrentSites,
    pub(super) worker: WorkerSettings,
    pub(super) rabbitmq: RabbitmqSettings,
    pub(super) topology: Topology,
    pub(super) probe_path: String,
    pub(super) tiers: Vec<Duration>,
    pub(super) name: String,
    pub(super) brakes: Brakes,
    pub(super) health: Health,
    pub(super) isolation: Isolation,
    pub(super) refusals: Refusals,
    pub(super) in_hand: InHand,
    done: AtomicU64,
    handed_back: AtomicU64,
}

impl Context {
    /// Takes the settings, the clients made from them, and what tells of the worker's state and of its deliveries.
    #[must_use]
    pub fn new(settings: &Settings, sites: AllSites, health: Health, in_hand: InHand) -> Self {
        let rabbitmq = settings.rabbitmq.clone();
        Self {
            sites: CurrentSites::new(settings, sites),
            worker: settings.worker.clone(),
            topology: Topology::new(&rabbitmq),
            probe_path: settings.replication.probe_path.clone(),
            tiers: rabbitmq.retry_delays_seconds.iter().map(|seconds| Duration::from_secs(*seconds)).collect(),
            rabbitmq,
            name: worker_name(),
            brakes: Brakes::new(settings.worker.brake_after, health.clone()),
            health,
            isolation: Isolation::default(),
            refusals: Refusals::default(),
            in_hand,
            done: AtomicU64::new(0),
            handed_back: AtomicU64::new(0),
        }
    }

    /// What the worker says of itself.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Age at which a message that still fails is given up.
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.worker.job_deadline_seconds)
    }

    pub(super) fn count_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_handed_back(&self) {
        self.handed_back.fetch_add(1, Ordering::Relaxed);
    }

    /// Messages settled, and messages given back.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.handed_back.load(Ordering::Relaxed))
    }
}

/// Host name and process id: tells operators which worker wrote a header.
#[must_use]
pub fn worker_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "worker" } else { host }, std::process::id())
}
