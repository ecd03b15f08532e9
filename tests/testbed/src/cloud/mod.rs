//! The cloud model: a blob service in memory that speaks the Azure Blob REST calls in use here, and knows what they cost.

mod answer;
mod auth;
mod call;
mod clock;
mod compare;
mod control;
mod costs;
mod error;
mod observe;
mod operation;
mod ops;
mod rules;
mod seed;
mod server;
mod shared;
mod state;
mod xml;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use compare::{Comparison, Differences, Place};
pub use costs::{Costs, Faults};
pub use observe::{Counters, Logged};
pub use operation::Operation;
pub use rules::{Corruption, Damage, Overwrite};
pub use seed::{Files, Workload};

use crate::storage::Storage;

use error::Refusal;
use shared::Shared;

/// Connections that may wait to be accepted: hundreds may come at once.
const BACKLOG: u32 = 4096;

/// A running model; dropping it ends it and forgets its blobs. Accounts are addressed as Azurite's are:
/// `http://127.0.0.1:PORT/ACCOUNT/CONTAINER/BLOB`.
pub struct CloudModel {
    address: SocketAddr,
    endpoint: Url,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Drop for CloudModel {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl CloudModel {
    /// Starts on a free loopback port with these accounts (name and base64 key).
    ///
    /// # Errors
    /// When a key is not base64, or no port can be had.
    pub async fn start(accounts: &[(&str, &str)], costs: Costs) -> Result<Self> {
        Self::start_on(0, accounts, costs).await
    }

    /// The same on a port of one's choice.
    ///
    /// # Errors
    /// When a key is not base64, or the port is taken.
    #[expect(clippy::unused_async, reason = "it needs a runtime to live in")]
    pub async fn start_on(port: u16, accounts: &[(&str, &str)], costs: Costs) -> Result<Self> {
        let shared = Arc::new(Shared::new(costs));
        for (name, key) in accounts {
            shared.add_account(name, key)?;
        }
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).with_context(|| format!("port {port} is taken"))?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, Arc::clone(&shared), stop.clone()));
        Ok(Self { address, endpoint: Url::parse(&format!("http://{address}/"))?, shared, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, without an account: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// A client for one of its accounts.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn storage(&self, account: &str) -> Result<Storage> {
        let account = self.shared.account(account).map_err(told)?;
        Storage::new(self.endpoint.join(&account.name)?, &account.name, &account.key_base64)
    }

    /// Adds an account; one that is there already stays as it is.
    ///
    /// # Errors
    /// When the key is not base64.
    pub fn add_account(&self, name: &str, key_base64: &str) -> Result<()> {
        self.shared.add_account(name, key_base64)
    }

    /// Fills a container. A million blobs take some seconds; use `spawn_blocking` for those.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn seed(&self, workload: &Workload) -> Result<()> {
        self.shared.seed(workload).map_err(told)
    }

    /// From the next request on things cost this.
    pub fn set_costs(&self, costs: Costs) {
        self.shared.set_costs(costs);
    }

    /// What things cost now.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.shared.costs().as_ref().clone()
    }

    /// Damages copies from now on.
    pub fn corrupt(&self, rule: Corruption) {
        self.shared.rules.corrupt(rule);
    }

    /// Changes a source later.
    pub fn overwrite(&self, rule: Overwrite) {
        self.shared.rules.overwrite(rule);
    }

    /// No more damages and changes.
    pub fn clear_rules(&self) {
        self.shared.rules.clear();
    }

    /// What went on since the start, or since the last `reset_counters`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.observer.snapshot()
    }

    /// Waits until the counters are as wanted: for example until so many copies are under way. Give it a deadline.
    pub async fn until(&self, is_so: impl FnMut(&Counters) -> bool) {
        self.shared.observer.until(is_so).await;
    }

    /// Counts from zero.
    pub fn reset_counters(&self) {
        self.shared.observer.reset();
    }

    /// Logs the latest so many requests from now on, with an empty log; 0 logs none.
    pub fn keep_log(&self, requests: u64) {
        self.shared.observer.keep(requests);
    }

    /// The requests that have ended, in that order.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.shared.observer.logged()
    }

    /// How two containers differ.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub fn compare(&self, comparison: &Comparison) -> Result<Differences> {
        self.shared.compare(comparison).map_err(told)
    }
}

fn told(refusal: Refusal) -> anyhow::Error {
    anyhow!("the cloud model refuses: {}", refusal.code)
}
