//! Storage accounts: listing containers and copying blobs on the server side. The only room that names Azure's blob SDK.

mod access;
mod blob_copy;
mod blocks;
mod classify;
mod container;
mod copy;
mod cors;
mod draft;
mod lease;
mod listing;
mod page;
mod pending;
mod read;
mod retry;
mod sas;
mod sas_storage;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use futures::TryStreamExt;

pub use blob_copy::CopyOptions;
pub use blocks::{Block, StagedBlock};
pub use container::Container;
pub use copy::Whole;
pub use lease::{Acquired, LEASE_SECONDS, Marker};
pub use listing::Blobs;
pub use sas_storage::SasStorage;

use crate::failure::Failure;
use crate::http::StorageTransport;
use crate::model::SiteName;
use crate::settings::StorageSettings;
use classify::Refusal;
use container::Access;
use page::MOST_BLOBS;
use sas::{Grant, Signer};

/// A container that need not exist: the answer to a look at it tells a wrong key from a right one.
const CHECKED_CONTAINER: &str = "stream-replicator-check";

/// What all calls to one storage account share, whatever gives the right to make them.
#[derive(Debug, Clone)]
struct Account {
    site: SiteName,
    transport: StorageTransport,
    page_size: u16,
    lacks_put_from_url: Arc<AtomicBool>,
    lists_unordered: Arc<AtomicBool>,
}

impl Account {
    fn new(site: &SiteName, transport: &StorageTransport) -> Self {
        let (site, transport) = (site.clone(), transport.clone());
        Self {
            site,
            transport,
            page_size: MOST_BLOBS,
            lacks_put_from_url: Arc::default(),
            lists_unordered: Arc::default(),
        }
    }
}

/// One storage account, used with its key. Every request is signed for itself, with the least permission that it needs.
#[derive(Clone)]
pub struct BlobAccount {
    account: Account,
    endpoint: Arc<str>,
    signer: Arc<Signer>,
}

impl fmt::Debug for BlobAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobAccount")
            .field("site", &self.account.site)
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
        let account = settings.account.as_deref().ok_or_else(|| wrong("account", "is missing: set it"))?;
        let endpoint = settings.blob_url.as_ref().ok_or_else(|| wrong("blob_url", "is missing: set it"))?;
        let signer = Signer::new(account, key, sas_validity, endpoint.scheme() == "https")
            .ok_or_else(|| wrong("key", "is not base64: copy the account key as the portal shows it"))?;
        Ok(Self {
            account: Account::new(site, transport),
            endpoint: endpoint.as_str().trim_end_matches('/').into(),
            signer: Arc::new(signer),
        })
    }

    /// Lists with fewer blobs per page than the service's 5000.
    #[must_use]
    pub fn with_page_size(mut self, blobs: u16) -> Self {
        self.account.page_size = blobs.clamp(1, MOST_BLOBS);
        self
    }

    /// One of its containers, which need not exist.
    #[must_use]
    pub fn container(&self, name: &str) -> Container {
        Container {
            account: self.account.clone(),
            endpoint: Arc::clone(&self.endpoint),
            name: name.into(),
            prefix: None,
            access: Access::Key(Arc::clone(&self.signer)),
        }
    }

    /// Looks whether the service answers and takes our key. Tries once and changes nothing.
    ///
    /// # Errors
    /// Permanent `storage-denied` when it refuses our key, transient `storage-unreachable` when it does not answer.
    pub async fn verify_reachable(&self) -> Result<(), Failure> {
        let options = BlobContainerClientListBlobsOptions { maxresults: Some(1), ..Default::default() };
        let looked = match self.container(CHECKED_CONTAINER).client(Grant::List) {
            Ok(client) => match client.list_blobs(Some(options)) {
                Ok(pager) => pager.into_pages().try_next().await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match looked.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_container_absent() => Ok(()),
            Err(refusal) => Err(refusal.failure("looking at the storage account").at_site(&self.account.site)),
        }
    }
}
