//! Marker blobs with a lease: whoever holds the lease does the work that the marker stands for.

use std::collections::HashMap;

use azure_core::http::RequestContent;
use azure_storage_blob::models::{
    BlobClientAcquireLeaseOptions, BlobClientAcquireLeaseResultHeaders, BlobClientBreakLeaseOptions,
    BlobClientDeleteOptions, BlobClientGetPropertiesResultHeaders, BlobClientSetMetadataOptions,
    BlockBlobClientUploadOptions,
};
use uuid::Uuid;

use super::classify::Refusal;
use super::sas::Grant;
use super::{BlobAccount, Container, retry};
use crate::failure::Failure;

/// The container of all markers; made where it is missing.
const STATE_CONTAINER: &str = "stream-replicator-state";
/// The metadata key that names the holder.
const HOLDER: &str = "holder";
/// How often a marker that others make and remove at the same time is looked at.
const LOOKS: usize = 5;

/// How long a lease lasts when it is not renewed, in seconds: as long as it can (15 to 60; Lease Blob, Azure Blob REST).
pub const LEASE_SECONDS: i32 = 60;

/// The marker of one piece of work.
#[derive(Debug, Clone)]
pub struct Marker {
    container: Container,
    name: String,
    lease_id: String,
}

/// What came of asking for a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is ours.
    Held,
    /// Somebody else has it: who, where that can be told.
    Busy {
        /// What the holder said of itself.
        holder: Option<String>,
    },
}

impl BlobAccount {
    /// The marker of the work called `name`; nothing is sent yet. Each call's value asks for a lease of its own.
    #[must_use]
    pub fn marker(&self, name: &str) -> Marker {
        let container = self.container(STATE_CONTAINER);
        Marker { container, name: name.to_owned(), lease_id: Uuid::new_v4().to_string() }
    }
}

impl Marker {
    /// Asks for the lease in the name of `holder` (ASCII); makes the marker, and the container, where they are missing.
    ///
    /// # Errors
    /// As every storage call; transient `marker-contended` when others make and remove the marker all the time.
    pub async fn acquire(&self, holder: &str) -> Result<Acquired, Failure> {
        retry::run(self.container.account.transport.tries(), || self.try_acquire(holder)).await
    }

    async fn try_acquire(&self, holder: &str) -> Result<Acquired, Failure> {
        for _ in 0..LOOKS {
            let made = match self.make(holder).await {
                Err(refusal) if refusal.is_container_absent() => {
                    self.make_container().await?;
                    continue;
                }
                made => made.map_err(|refusal| self.failure(&refusal, "making"))?,
            };
            match self.lease().await {
                Ok(()) if made => return Ok(Acquired::Held),
                Ok(()) => return self.tell_holder(holder).await.map(|()| Acquired::Held),
                Err(refusal) if refusal.has_code("LeaseAlreadyPresent") => {
                    return Ok(Acquired::Busy { holder: self.find_holder().await? });
                }
                Err(refusal) if refusal.is_blob_absent() => {}
                Err(refusal) => return Err(self.failure(&refusal, "leasing")),
            }
        }
        let message = format!("marker '{}' is made and removed all the time", self.name);
        Err(Failure::transient("marker-contended", message).at_site(&self.container.account.site))
    }

    /// Prolongs our lease. `false` when it is ours no longer.
    ///
    /// # Errors
    /// As every storage call.
    pub async fn renew(&self) -> Result<bool, Failure> {
        let renewed = async { self.client(Grant::Write(&self.name))?.renew_lease(self.lease_id.clone(), None).await };
        match renewed.await.map_err(Refusal::from) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_lease_lost() => Ok(false),
            Err(refusal) => Err(self.failure(&refusal, "renewing the lease of")),
        }
    }

    /// Ends our lease, and the marker with it. One that is ours no longer is left alone.
    ///
    /// # Errors
    /// As every storage call.
    pub async fn remove(&self) -> Result<(), Failure> {
        let remove = || async {
            let options = BlobClientDeleteOptions { lease_id: Some(self.lease_id.clone()), ..Default::default() };
            let removed = async { self.client(Grant::Delete(&self.name))?.delete(Some(options)).await };
            match removed.await.map_err(Refusal::from) {
                Err(refusal) if !refusal.is_lease_lost() => Err(self.failure(&refusal, "removing")),
                _ => Ok(()),
            }
        };
        retry::run(self.container.account.transport.tries(), remove).await
    }

    /// Ends the lease of a holder that is known to be dead, so that the next one need not wait for its end.
    ///
    /// # Errors
    /// As every storage call.
    pub async fn break_lease(&self) -> Result<(), Failure> {
        let options = BlobClientBreakLeaseOptions { break_period: Some(0), ..Default::default() };
        let broken = async { self.client(Grant::Write(&self.name))?.break_lease(Some(options)).await };
        match broken.await.map_err(Refusal::from) {
            Err(refusal) if !refusal.is_lease_lost() => Err(self.failure(&refusal, "breaking the lease of")),
            _ => Ok(()),
        }
    }

    /// `true` when it was not there before.
    async fn make(&self, holder: &str) -> Result<bool, Refusal> {
        let options = BlockBlobClientUploadOptions { metadata: Some(held_by(holder)), ..Default::default() };
        let made = async {
            let client = self.client(Grant::Write(&self.name))?.block_blob_client();
            client.upload(RequestContent::from(Vec::new()), Some(options.if_not_exists())).await
        };
        match made.await.map_err(Refusal::from) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.has_code("BlobAlreadyExists") || refusal.has_code("LeaseIdMissing") => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    async fn make_container(&self) -> Result<(), Failure> {
        let made = async { self.container.client(Grant::CreateContainer)?.create(None).await };
        match made.await.map_err(Refusal::from) {
            Err(refusal) if !refusal.has_code("ContainerAlreadyExists") => {
                Err(self.failure(&refusal, "making room for"))
            }
            _ => Ok(()),
        }
    }

    async fn lease(&self) -> Result<(), Refusal> {
        let options =
            BlobClientAcquireLeaseOptions { proposed_lease_id: Some(self.lease_id.clone()), ..Default::default() };
        let leased = async {
            self.client(Grant::Write(&self.name))?.acquire_lease(LEASE_SECONDS, Some(options)).await?.lease_id()
        };
        leased.await.map(|_| ()).map_err(Refusal::from)
    }

    /// Says on a marker that a dead holder left behind whose it is now.
    async fn tell_holder(&self, holder: &str) -> Result<(), Failure> {
        let options = BlobClientSetMetadataOptions { lease_id: Some(self.lease_id.clone()), ..Default::default() };
        let told = async { self.client(Grant::Write(&self.name))?.set_metadata(&held_by(holder), Some(options)).await };
        told.await.map(|_| ()).map_err(|error| self.failure(&Refusal::from(error), "signing"))
    }

    async fn find_holder(&self) -> Result<Option<String>, Failure> {
        let found = async { self.client(Grant::Read(&self.name))?.get_properties(None).await?.metadata() };
        match found.await.map_err(Refusal::from) {
            Ok(metadata) => {
                Ok(metadata.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(HOLDER)).map(|(_, value)| value))
            }
            Err(refusal) if refusal.is_blob_absent() => Ok(None),
            Err(refusal) => Err(self.failure(&refusal, "looking at")),
        }
    }

    fn client(&self, grant: Grant<'_>) -> azure_core::Result<azure_storage_blob::BlobClient> {
        self.container.blob(grant, None)
    }

    fn failure(&self, refusal: &Refusal, doing: &str) -> Failure {
        let doing = format!("{doing} the marker '{}' in container '{STATE_CONTAINER}'", self.name);
        refusal.failure(&doing).at_site(&self.container.account.site)
    }
}

fn held_by(holder: &str) -> HashMap<String, String> {
    HashMap::from([(HOLDER.to_owned(), holder.to_owned())])
}
