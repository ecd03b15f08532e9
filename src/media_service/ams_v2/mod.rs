//! Azure Media Services v2 (REST, OData v3): what a replicator needs of it, each answer classified once.

mod assets;
mod classify;
mod client;
mod dates;
mod encoding_jobs;
mod endpoints;
mod error_text;
mod files;
mod identity;
mod locators;
mod policies;
mod request;
mod resource;
mod sas_locators;
mod token;
mod wire;

pub use encoding_jobs::{EncodingJob, EncodingState};
pub use endpoints::StreamingEndpoint;
pub use sas_locators::{SasLocator, SasPurpose};

use self::client::Client;
use crate::failure::Failure;
use crate::http::HttpClient;
use crate::model::{Cloud, SiteName};
use crate::settings::MediaSettings;

/// One media service account. Cheap to clone; clones share connections, token and root.
#[derive(Clone)]
pub struct AmsV2 {
    client: Client,
}

impl AmsV2 {
    /// Takes the account of `site` in `cloud`; nothing is sent yet. `tries` bounds each call in this process.
    ///
    /// # Errors
    /// Permanent `media-settings` when the settings hold no identity or no address.
    pub fn new(
        site: &SiteName,
        cloud: Cloud,
        settings: &MediaSettings,
        http: HttpClient,
        tries: usize,
    ) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(site, cloud, settings, http, tries)? })
    }

    /// The account's name.
    #[must_use]
    pub fn account(&self) -> &str {
        self.client.account()
    }

    /// Fetches a token, unless there is one. Says for people whose it is and where it comes from, without secrets.
    ///
    /// # Errors
    /// Permanent `token-refused` when the token door refuses us; else as every call.
    pub async fn verify_identity(&self) -> Result<String, Failure> {
        Ok(self.client.verify_identity().await?.to_string())
    }

    /// Fetches a token, finds the root and reads once; changes nothing. Says for people what was reached.
    ///
    /// # Errors
    /// What a first call of a worker would meet.
    pub async fn verify_reachable(&self) -> Result<String, Failure> {
        self.client.first::<wire::AnyRow>("Assets").await?;
        Ok(format!("media account {} through {}", self.account(), self.client.root()))
    }
}

impl std::fmt::Debug for AmsV2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AmsV2({} at {})", self.account(), self.client.site())
    }
}
