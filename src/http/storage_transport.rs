//! The HTTP clients beneath all storage calls, in the shape that the storage SDK takes.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::Transport;

use super::bounded::Bounded;
use crate::failure::Failure;
use crate::settings::HttpSettings;
use crate::tls::install_tls_provider;

/// A page of a listing: 5,000 blobs with names of 1,024 characters and metadata of 8 KiB each (Azure Storage, "Scalability and
/// performance targets", and "Setting and retrieving properties and metadata"). Files are read in parts that are smaller.
const LONGEST_DOWNLOAD: usize = 64 * 1024 * 1024;

/// The connections to all storage accounts, with our timeouts. The SDK's own client gives up after 60 silent seconds, and a
/// synchronous copy is silent for as long as it runs.
///
/// There are two pools. A connection's read buffer grows with the answers that it has carried and stays as large as it got:
/// pages of listings, on whichever of the hundreds of connections was free, made each of them hold 100 KiB in the end.
#[derive(Debug, Clone)]
pub struct StorageTransport {
    calls: Transport,
    downloads: Transport,
    tries: usize,
}

impl StorageTransport {
    /// Builds the clients. No redirects and no proxies from the environment: a signed request must not wander. Bodies are left
    /// as the service stores them.
    ///
    /// # Errors
    /// Permanent `http-client` when a client cannot be built, such as without any root certificate.
    pub fn new(settings: &HttpSettings) -> Result<Self, Failure> {
        install_tls_provider();
        Ok(Self {
            calls: transport(settings, settings.max_response_bytes)?,
            downloads: transport(settings, settings.max_response_bytes.max(LONGEST_DOWNLOAD))?,
            tries: settings.tries,
        })
    }

    /// What the SDK's clients are given.
    #[must_use]
    pub fn azure(&self) -> Transport {
        self.calls.clone()
    }

    /// The same for answers that are large: listings and what blobs contain.
    #[must_use]
    pub fn downloads(&self) -> Transport {
        self.downloads.clone()
    }

    /// Tries of one call in process.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.tries
    }
}

fn transport(settings: &HttpSettings, max_bytes: usize) -> Result<Transport, Failure> {
    let cannot = || Failure::permanent("http-client", "no HTTP client for storage calls can be built");
    let builder = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
        .timeout(Duration::from_secs(settings.storage_timeout_seconds))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let builder = super::client::reach(builder, settings).map_err(|error| cannot().with_source(error))?;
    let client = builder.build().map_err(|error| cannot().with_source(error))?;
    Ok(Transport::new(Arc::new(Bounded::new(client, max_bytes))))
}
