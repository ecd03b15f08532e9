//! A running emulator: started as a library, asked for its addresses, disturbed, and stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account_handle::AccountHandle;
use super::config::EmulatorConfig;
use super::doors::gate::Place;
use super::doors::listener::Door;
use super::doors::token::Mint;
use super::faults::{Down, FaultRule};
use super::listeners::Listeners;
use super::shared::Shared;
use super::state::{Account, SharedState};
use super::streaming::Shelf;
use super::traffic::Requests;

/// Notifications kept for a listener that is slow.
const NOTIFICATIONS: usize = 1024;

/// A running emulator of media services in one or more data centres. Dropping it closes its doors.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    doors: Vec<(Place, Door)>,
}

impl Emulator {
    /// Starts the emulator on 127.0.0.1 and returns when every door is open.
    ///
    /// # Errors
    /// When a port cannot be bound, or two accounts share a name.
    pub async fn start(config: EmulatorConfig) -> anyhow::Result<Self> {
        let listeners = Listeners::bind(&config).await?;
        let shared = Arc::new(Shared {
            state: SharedState::default(),
            mint: Mint::new(),
            addresses: listeners.addresses(&config)?,
            encoder: config.encoder,
            notifications: broadcast::channel(NOTIFICATIONS).0,
            http: crate::storage::http_client_builder().build().context("cannot set up an HTTP client")?,
            policies: tokio::sync::Mutex::new(()),
            release: tokio::sync::Notify::new(),
            shelf: Shelf::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        for account in &config.accounts {
            let streaming_root = account.public_streaming.as_ref().or(shared.addresses.streaming.get(&account.name));
            let streaming_root = streaming_root.cloned().unwrap_or_default();
            let taken =
                shared.state.lock().accounts.insert(account.name.clone(), Account::new(account, streaming_root));
            anyhow::ensure!(taken.is_none(), "two accounts are named '{}': give each its own name", account.name);
        }
        let data_centres =
            config.accounts.iter().map(|account| (account.name.clone(), account.data_centre.clone())).collect();
        let doors = listeners.open(&shared, &data_centres)?;
        Ok(Self { shared, doors })
    }

    /// The base URL of the global front door, `http://127.0.0.1:<port>`; clients append `/api/`.
    pub fn front_door_url(&self) -> &str {
        &self.shared.addresses.front_door
    }

    /// The base URL of the token door; clients append `/v2/OAuth2-13`.
    pub fn acs_url(&self) -> &str {
        &self.shared.addresses.acs
    }

    /// The base URL of the Entra (Azure AD) door; clients append `/<tenant>/oauth2/token`.
    pub fn entra_url(&self) -> &str {
        &self.shared.addresses.entra
    }

    /// The service root of a data centre's cluster as clients are told it, with its trailing slash.
    pub fn cluster_url(&self, data_centre: &str) -> String {
        self.shared.root_of(data_centre)
    }

    /// The base URL at which a data centre's cluster listens, whatever its public name is; empty when there is no such data
    /// centre.
    pub fn cluster_listener_url(&self, data_centre: &str) -> &str {
        self.shared.addresses.clusters.get(data_centre).map(String::as_str).unwrap_or_default()
    }

    /// The service root of an account's own endpoint of the AAD era, which serves without a redirect, with its trailing slash
    /// (contract ams-v2 section 1.3); empty when there is no such account.
    pub fn restv2_url(&self, account: &str) -> String {
        self.shared.addresses.restv2.get(account).map(|base| format!("{base}/api/")).unwrap_or_default()
    }

    /// The base URL of an account's streaming endpoint, without a trailing slash; empty when there is no such account.
    pub fn streaming_url(&self, account: &str) -> &str {
        self.shared.addresses.streaming.get(account).map(String::as_str).unwrap_or_default()
    }

    /// The data centres, in name order.
    pub fn data_centres(&self) -> Vec<String> {
        self.shared.addresses.clusters.keys().cloned().collect()
    }

    /// All addresses, as the program prints them.
    pub fn addresses(&self) -> serde_json::Value {
        let addresses = &self.shared.addresses;
        let clusters: BTreeMap<&String, String> =
            addresses.clusters.keys().map(|name| (name, self.shared.root_of(name))).collect();
        let restv2: BTreeMap<&String, String> =
            addresses.restv2.keys().map(|name| (name, self.restv2_url(name))).collect();
        serde_json::json!({
            "front_door": format!("{}/api/", addresses.front_door),
            "acs": format!("{}/v2/OAuth2-13", addresses.acs),
            "entra": addresses.entra,
            "clusters": clusters,
            "restv2": restv2,
            "streaming": addresses.streaming,
        })
    }

    /// An account, to arrange and to read.
    pub fn account(&self, name: &str) -> AccountHandle {
        AccountHandle { shared: Arc::clone(&self.shared), name: name.to_owned() }
    }

    /// Adds a fault behind those that are still to come.
    pub fn fault(&self, rule: FaultRule) {
        self.shared.state.lock().faults.push(rule);
    }

    /// Forgets the faults that are still to come, and says how many there were.
    pub fn clear_faults(&self) -> usize {
        std::mem::take(&mut self.shared.state.lock().faults).len()
    }

    /// The requests so far.
    pub fn requests(&self) -> Requests {
        Requests(self.shared.state.lock().requests.clone())
    }

    /// The requests that a fault has delayed so far: unlike in [`Self::requests`], from the moment the delay begins.
    pub fn delayed(&self) -> Requests {
        Requests(self.shared.state.lock().delayed.clone())
    }

    /// Ends the delays of all requests that are delayed right now.
    pub fn release_delayed(&self) {
        self.shared.release.notify_waiters();
    }

    /// Every token that was given out, for tests that look for them where they must not be.
    pub fn issued_tokens(&self) -> Vec<String> {
        self.shared.state.lock().issued_tokens.clone()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.shared.state.lock().requests.clear();
    }

    /// The raw bodies of job notifications from now on.
    pub fn notifications(&self) -> broadcast::Receiver<String> {
        self.shared.notifications.subscribe()
    }

    /// Takes a data centre down: its cluster and its streaming endpoints refuse connections. Its storage is not touched.
    pub fn take_down(&self, data_centre: &str) {
        self.shared.state.lock().down.insert(data_centre.to_owned(), Down::Refused);
        self.doors_of(data_centre).for_each(Door::take_down);
    }

    /// Makes a data centre's cluster and streaming endpoints answer 503.
    pub fn make_unavailable(&self, data_centre: &str) {
        self.shared.state.lock().down.insert(data_centre.to_owned(), Down::Unavailable);
    }

    /// Brings a data centre back, on the same ports and with everything it knew.
    ///
    /// # Errors
    /// When somebody else took one of the ports meanwhile.
    pub async fn bring_up(&self, data_centre: &str) -> anyhow::Result<()> {
        self.shared.state.lock().down.remove(data_centre);
        for door in self.doors_of(data_centre) {
            door.bring_up().await?;
        }
        Ok(())
    }

    /// Closes every door and waits for the encoder to stop.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.doors.iter().for_each(|(_, door)| door.take_down());
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn doors_of<'a>(&'a self, data_centre: &'a str) -> impl Iterator<Item = &'a Door> {
        let is_there = move |place: &Place| place.data_centre.as_deref() == Some(data_centre);
        self.doors.iter().filter(move |(place, _)| is_there(place)).map(|(_, door)| door)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.doors.iter().for_each(|(_, door)| door.take_down());
    }
}
