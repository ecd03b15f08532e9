//! Containers themselves: whether there is one, who may read it without a signature, and making one.

use std::collections::HashMap;

use azure_storage_blob::models::{
    BlobContainerClientCreateOptions, BlobContainerClientGetPropertiesResultHeaders, PublicAccessType,
};

use super::classify::Refusal;
use super::sas::Grant;
use super::{Container, retry};
use crate::failure::Failure;
use crate::model::PublicAccess;

/// The metadata key of a container that we made: the site whose container it was made after.
const METADATA_REPLICA_OF: &str = "stream_replicator_replica_of";

impl Container {
    /// Who may read it without a signature; `None` where there is no such container (Get Container Properties, Azure Blob
    /// REST). Tries a few times.
    ///
    /// # Errors
    /// Transient when the service is busy or out of reach; permanent `storage-denied`.
    pub async fn find_access(&self) -> Result<Option<PublicAccess>, Failure> {
        retry::run(self.account.transport.tries(), async || {
            let looked = async { self.client(Grant::LookAtContainer)?.get_properties(None).await?.access() };
            match looked.await.map_err(|error: azure_core::Error| Refusal::from(error)) {
                Ok(None) => Ok(Some(PublicAccess::None)),
                Ok(Some(PublicAccessType::Blob)) => Ok(Some(PublicAccess::Blob)),
                Ok(Some(_)) => Ok(Some(PublicAccess::Container)),
                // an answer to HEAD has no body, and some services say no code in its headers either
                Err(refusal) if refusal.is_blob_absent() => Ok(None),
                Err(refusal) => {
                    let doing = format!("looking at container '{}'", self.name);
                    Err(refusal.failure(&doing).at_site(&self.account.site))
                }
            }
        })
        .await
    }

    /// Makes the container where it is missing, without public access (Create Container, Azure Blob REST). Tries a few times.
    ///
    /// # Errors
    /// Transient when the service is busy or out of reach, or the container is just being deleted; permanent
    /// `storage-denied`.
    pub async fn ensure(&self) -> Result<(), Failure> {
        self.make(BlobContainerClientCreateOptions::default).await
    }

    /// Makes the container after `source`, with its public access and a mark that says so; one that is there stays as it is.
    /// Tries a few times.
    ///
    /// # Errors
    /// As [`Container::ensure`]; permanent `public-access-not-permitted`.
    pub async fn ensure_after(&self, source: &Self, access: PublicAccess) -> Result<(), Failure> {
        let mark = (METADATA_REPLICA_OF.to_owned(), source.account.site.to_string());
        self.make(|| BlobContainerClientCreateOptions {
            access: match access {
                PublicAccess::None => None,
                PublicAccess::Blob => Some(PublicAccessType::Blob),
                PublicAccess::Container => Some(PublicAccessType::Container),
            },
            metadata: Some(HashMap::from([mark.clone()])),
            ..Default::default()
        })
        .await
    }

    async fn make(&self, options: impl Fn() -> BlobContainerClientCreateOptions<'static>) -> Result<(), Failure> {
        retry::run(self.account.transport.tries(), async || {
            let made = async { self.client(Grant::CreateContainer)?.create(Some(options())).await };
            match made.await.map_err(Refusal::from) {
                Err(refusal) if refusal.has_code("PublicAccessNotPermitted") => {
                    let message = format!("storage account allows no public access, which container '{}' has", self.name);
                    Err(Failure::permanent("public-access-not-permitted", message)
                        .with_hint(
                            "allow public access to blobs for this storage account, or take it from the source's container",
                        )
                        .at_site(&self.account.site))
                }
                Err(refusal) if !refusal.has_code("ContainerAlreadyExists") => {
                    Err(refusal.failure(&format!("making container '{}'", self.name)).at_site(&self.account.site))
                }
                _ => Ok(()),
            }
        })
        .await
    }
}
