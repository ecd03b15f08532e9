//! Storage accounts: listing containers and copying blobs on the server side. The only room that names Azure's blob SDK.

mod classify;
mod copy;
mod listing;
mod retry;
mod sas;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, RetryOptions};
use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use futures::TryStreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use url::Url;

use crate::failure::Failure;
use crate::http::StorageTransport;
use crate::model::SiteName;
use crate::settings::StorageSettings;
use classify::Refusal;
use sas::{Grant, Signer};

/// What stays as it is in the path of a blob's URL: RFC 3986's unreserved characters and the slash.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A container that need not exist: the answer to a look at it tells a wrong key from a right one.
const CHECKED_CONTAINER: &str = "stream-replicator-check";

/// Blobs per page of a listing; the service gives no more (List Blobs, Azure Blob REST).
const PAGE_SIZE: u16 = 5000;

/// One storage account, used with its key. Every request is signed for itself, with the least permission that it needs.
#[derive(Clone)]
pub struct BlobAccount {
    site: SiteName,
    endpoint: Arc<str>,
    signer: Arc<Signer>,
    transport: StorageTransport,
    page_size: u16,
    lacks_put_from_url: Arc<AtomicBool>,
}

impl fmt::Debug for BlobAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobAccount")
            .field("site", &self.site)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl BlobAccount {
    /// Takes the settings of `site`'s storage account. `sas_validity` is the validity of each request's signature.
    ///
    /// # Errors
    /// Permanent `storage-settings` when there is no usable key or address.
    pub fn new(
        site: &SiteName,
        settings: &StorageSettings,
        sas_validity: Duration,
        transport: &StorageTransport,
    ) -> Result<Self, Failure> {
        let wrong = |key: &str, problem: &str| {
            Failure::permanent("storage-settings", format!("sites.{site}.storage.{key} {problem}")).at_site(site)
        };
        let key = settings.key.as_ref().ok_or_else(|| wrong("key", "is missing: set it, or key_file"))?;
        let endpoint = match &settings.blob_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("https://{}.blob.core.windows.net/", settings.account))
                .map_err(|_| wrong("account", "is not the name of a storage account: lower-case letters and digits"))?,
        };
        let signer = Signer::new(&settings.account, key, sas_validity, endpoint.scheme() == "https")
            .ok_or_else(|| wrong("key", "is not base64: copy the account key as the portal shows it"))?;
        Ok(Self {
            site: site.clone(),
            endpoint: endpoint.as_str().trim_end_matches('/').into(),
            signer: Arc::new(signer),
            transport: transport.clone(),
            page_size: PAGE_SIZE,
            lacks_put_from_url: Arc::default(),
        })
    }

    /// Lists with fewer blobs per page than the service's 5000.
    #[must_use]
    pub fn with_page_size(mut self, blobs: u16) -> Self {
        self.page_size = blobs.clamp(1, PAGE_SIZE);
        self
    }

    /// Looks whether the service answers and takes our key. Tries once and changes nothing.
    ///
    /// # Errors
    /// Permanent `storage-denied` when it refuses our key, transient `storage-unreachable` when it does not answer.
    pub async fn verify_reachable(&self) -> Result<(), Failure> {
        let options = BlobContainerClientListBlobsOptions { maxresults: Some(1), ..Default::default() };
        let looked = match self.container(Grant::List(CHECKED_CONTAINER)) {
            Ok(client) => match client.list_blobs(Some(options)) {
                Ok(pager) => pager.into_pages().try_next().await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match looked.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_container_absent() => Ok(()),
            Err(refusal) => Err(refusal.failure("looking at the storage account").at_site(&self.site)),
        }
    }

    /// The signed URL of what `grant` is about. The name is percent-encoded exactly once.
    fn url(&self, grant: Grant<'_>) -> azure_core::Result<Url> {
        let (container, name) = grant.place();
        let mut path = utf8_percent_encode(container, KEPT).to_string();
        if let Some(name) = name {
            path = format!("{path}/{}", utf8_percent_encode(name, KEPT));
        }
        let query = self.signer.sign(grant, OffsetDateTime::now_utc());
        Ok(Url::parse(&format!("{}/{path}?{query}", self.endpoint))?)
    }

    fn container(&self, grant: Grant<'_>) -> azure_core::Result<BlobContainerClient> {
        let options = BlobContainerClientOptions { client_options: self.client_options(None), ..Default::default() };
        BlobContainerClient::new(self.url(grant)?, None, Some(options))
    }

    fn blob(&self, grant: Grant<'_>, policy: Option<Arc<dyn Policy>>) -> azure_core::Result<BlobClient> {
        let options = BlobClientOptions { client_options: self.client_options(policy), ..Default::default() };
        BlobClient::new(self.url(grant)?, None, Some(options))
    }

    /// No retries in the SDK: they are ours, each with a signature of its own.
    fn client_options(&self, policy: Option<Arc<dyn Policy>>) -> ClientOptions {
        ClientOptions {
            transport: Some(self.transport.azure()),
            retry: RetryOptions::none(),
            per_call_policies: policy.into_iter().collect(),
            ..Default::default()
        }
    }
}
