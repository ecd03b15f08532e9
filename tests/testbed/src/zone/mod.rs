//! The public names of a cloud on this machine: one TLS listener that answers for all of them and passes requests on.
//!
//! To the worker the zone *is* the cloud: it finds the names by its setting `http.resolve` and trusts them by
//! `http.ca_file`. Behind the names are the doors of the emulator, and Azurite, which knows no host names.

mod forward;
mod sas;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::certificates::{Authority, Certificate, Validity};
use crate::storage::Storage;

/// What is behind a name.
#[derive(Clone, Debug)]
pub enum Behind {
    /// A server that gets every request as it is.
    Server(Url),
    /// A storage account, whose name is not in the path but in the name of the host, and which wants TLS.
    Blobs(Storage),
}

/// A request that the zone saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The name that was asked.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path, without the query, which may hold signatures.
    pub path: String,
    /// Whether it carried an `Authorization` header.
    pub authorized: bool,
    /// The status that went back.
    pub status: u16,
}

/// A running zone; it stops when it is dropped.
pub struct Zone {
    address: SocketAddr,
    ca_file: PathBuf,
    state: Arc<State>,
    server: JoinHandle<()>,
}

/// What all connections share.
struct State {
    names: BTreeMap<String, Behind>,
    client: reqwest::Client,
    seen: Mutex<Vec<Seen>>,
}

impl Zone {
    /// Answers for `names` on a free loopback port; writes the certificate of the authority that vouches for them into
    /// `folder`.
    ///
    /// # Errors
    /// When no port is free, a name fits in no certificate, or the file cannot be written.
    pub async fn start(folder: &Path, names: impl IntoIterator<Item = (String, Behind)>) -> Result<Self> {
        let names: BTreeMap<String, Behind> = names.into_iter().collect();
        let authority = Authority::new()?;
        let certificate = authority.server(names.keys().cloned(), Validity::Now)?;
        Self::with_certificate(folder, names, &authority, &certificate).await
    }

    /// The same with a certificate of the caller's choice.
    ///
    /// # Errors
    /// When no port is free, or the file cannot be written.
    pub async fn with_certificate(
        folder: &Path,
        names: impl IntoIterator<Item = (String, Behind)>,
        authority: &Authority,
        certificate: &Certificate,
    ) -> Result<Self> {
        let names: BTreeMap<String, Behind> = names.into_iter().collect();
        let ca_file = folder.join("zone-ca.pem");
        std::fs::write(&ca_file, authority.pem())
            .with_context(|| format!("{} cannot be written", ca_file.display()))?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the zone")?;
        let address = listener.local_addr()?;
        let client = crate::storage::http_client_builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let state = Arc::new(State { names, client, seen: Mutex::default() });
        let service = Router::new().fallback(forward::handle).with_state(Arc::clone(&state));
        let listener = tls::TlsListener::new(listener, certificate.server_config()?)?;
        let server = tokio::spawn(async move {
            // ends only with its task
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self { address, ca_file, state, server })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Where each name is: `name` and the address of the one listener.
    pub fn places(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.state.names.keys().map(|name| (name.as_str(), self.address))
    }

    /// All requests so far, in the order of their answers.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.server.abort();
    }
}
