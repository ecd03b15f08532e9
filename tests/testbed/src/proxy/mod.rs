//! An HTTP proxy in front of Azurite that misbehaves on request: what the real service does under load or on a bad day.
//!
//! To the worker the proxy *is* the storage endpoint. Signatures do not cover the Host header, and Azurite wants the host
//! of a copy's source to be the Host it sees; so a copy request travels on with its source's host as Host, every other
//! one with the Host it came with. Sources may thus name this proxy, another one before the same Azurite, or Azurite.

mod copies;
mod forward;
mod listing;
mod rule;
mod socket;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use copies::CopyOutcome;
pub use listing::ListEdit;
pub use rule::{Action, Fault, Rule};

use copies::PendingCopies;
use rule::ActiveRule;
use socket::{CuttableListener, Cutter};

/// A request that the proxy saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query, without the signature.
    pub target: String,
    /// Path of the copy source, for copies.
    pub copy_source: Option<String>,
    /// The status that went back; `None` where the connection was cut, and as long as no answer is there.
    pub status: Option<u16>,
}

/// A running proxy; it stops accepting when it is dropped.
pub struct FaultProxy {
    url: Url,
    state: Arc<State>,
    server: JoinHandle<()>,
}

/// What all connections share.
struct State {
    upstream: SocketAddr,
    client: reqwest::Client,
    rules: Mutex<Vec<ActiveRule>>,
    copies: Mutex<PendingCopies>,
    log: Mutex<Vec<Seen>>,
    in_flight: AtomicU32,
    peak_in_flight: AtomicU32,
}

impl FaultProxy {
    /// Starts a proxy on a free loopback port that passes everything on to `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the fault proxy")?;
        let url = Url::parse(&format!("http://{}", listener.local_addr()?))?;
        let state = Arc::new(State {
            upstream,
            client: crate::storage::http_client_builder().redirect(reqwest::redirect::Policy::none()).build()?,
            rules: Mutex::default(),
            copies: Mutex::default(),
            log: Mutex::default(),
            in_flight: AtomicU32::new(0),
            peak_in_flight: AtomicU32::new(0),
        });
        let service = Router::new().fallback(forward::handle).with_state(state.clone());
        let service = service.into_make_service_with_connect_info::<Cutter>();
        let server = tokio::spawn(async move {
            // ends only with its task
            let _ = axum::serve(CuttableListener(listener), service).await;
        });
        Ok(Self { url, state, server })
    }

    /// The proxy's address, to be used as that of the storage service.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Adds a fault. The first rule that matches a request and is not used up decides; a delay lets later ones have a
    /// say too.
    pub fn fault(&self, rule: Rule) -> Fault {
        let active = ActiveRule::new(rule);
        let fault = active.fault();
        lock(&self.state.rules).push(active);
        fault
    }

    /// Takes all faults away. Copies that were made pending stay so.
    pub fn clear_faults(&self) {
        lock(&self.state.rules).clear();
    }

    /// All requests so far in the order of arrival, but for those by which Azurite itself looks at a copy's source.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.state.log).clone()
    }

    /// The most requests that were ever waiting for an answer at the same time.
    #[must_use]
    pub fn peak_in_flight(&self) -> u32 {
        self.state.peak_in_flight.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The content, also after a panic in a test thread: nothing here is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
