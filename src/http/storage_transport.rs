//! The one HTTP client beneath all storage calls, in the shape that the storage SDK takes.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::Transport;

use crate::failure::Failure;
use crate::settings::HttpSettings;

/// One pool of connections for all storage accounts, with our timeouts. The SDK's own client gives up after 60 silent
/// seconds, and a synchronous copy is silent for as long as it runs.
#[derive(Debug, Clone)]
pub struct StorageTransport {
    transport: Transport,
    tries: usize,
}

impl StorageTransport {
    /// Builds the client. No redirects and no proxies from the environment: a signed request must not wander. Bodies are left as the service stores them.
    ///
    /// # Errors
    /// Permanent `http-client` when the client cannot be built, such as without any root certificate.
    pub fn new(settings: &HttpSettings) -> Result<Self, Failure> {
        super::install_tls_provider();
        let cannot = || Failure::permanent("http-client", "no HTTP client for storage calls can be built");
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
            .timeout(Duration::from_secs(settings.storage_timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let builder = super::client::reach(builder, settings).map_err(|error| cannot().with_source(error))?;
        let client = builder.build().map_err(|error| cannot().with_source(error))?;
        Ok(Self { transport: Transport::new(Arc::new(client)), tries: settings.tries })
    }

    /// What the SDK's clients are given.
    #[must_use]
    pub fn azure(&self) -> Transport {
        self.transport.clone()
    }

    /// Tries of one call in process.
    #[must_use]
    pub fn tries(&self) -> usize {
        self.tries
    }
}
