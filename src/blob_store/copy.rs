//! Copies one blob on the server side: no byte of it passes through this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use azure_storage_blob::models::{
    BlobClientStartCopyFromUrlOptions, BlobClientStartCopyFromUrlResultHeaders,
    BlockBlobClientUploadBlobFromUrlOptions, CopyStatus,
};

use super::Container;
use super::blob_copy::{BlobCopy, CopyOptions, CopyState, in_time};
use super::classify::Refusal;
use super::sas::Grant;
use crate::failure::Failure;
use crate::model::Blob;

/// Largest source of Put Blob From URL (Azure Blob REST, from version 2020-04-08 on).
const PUT_FROM_URL_MAX_BYTES: u64 = 5000 * 1024 * 1024;
/// Largest source of a synchronous Copy Blob (Azure Blob REST, "Copy Blob From URL").
const SYNC_COPY_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How a blob can be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// It is copied.
    Done,
    /// The service does not copy this one as a whole: it is too large, or no such copy is offered. Nothing has happened.
    OnlyInBlocks,
}

impl Container {
    /// Copies `blob` as a whole, in the version that `source` listed, with its headers and metadata, and waits until it is
    /// done. An older copy is overwritten; one that is under way is waited for if it is the same, else aborted. The copy
    /// names its source's version in its metadata. Tries once.
    ///
    /// # Errors
    /// Transient: `source-changed` when the source has another version by now, `source-gone`, `source-busy`,
    /// `copy-failed`, `copy-aborted`, and what a busy or silent service gives. `NeedsMoreTime` `copy-pending` when the
    /// service is still copying. Permanent: `container-missing`, `storage-denied`, `source-denied`, `storage-refused`.
    pub async fn copy_whole(&self, source: &Self, blob: &Blob, options: CopyOptions) -> Result<Whole, Failure> {
        let copy = BlobCopy { target: self, source, blob, options };
        copy.run().await.map_err(|failure| copy.at_its_site(failure))
    }
}

impl Container {
    /// Whether this process can read a blob itself (Get Blob Properties, Azure Blob REST); `None` when that cannot be told.
    /// Tries once.
    pub async fn is_readable(&self, name: &str) -> Option<bool> {
        let looked = async { self.blob(Grant::Read(name), None)?.get_properties(None).await };
        match looked.await.map_err(Refusal::from) {
            Ok(_) => Some(true),
            Err(refusal) => refusal.is_denied().then_some(false),
        }
    }
}

/// The ways to copy a blob as a whole, best first. Copy Blob without `x-ms-requires-sync` is none: between two accounts the
/// service makes it when it finds time, with no promise of when (Copy Blob, Azure Blob REST).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// Put Blob From URL: done when it answers.
    PutFromUrl,
    /// Copy Blob with `x-ms-requires-sync`: done when it answers.
    SyncCopy,
}

impl Operation {
    fn first(size_bytes: u64, has_put_from_url: bool) -> Option<Self> {
        match size_bytes {
            ..=PUT_FROM_URL_MAX_BYTES if has_put_from_url => Some(Self::PutFromUrl),
            ..=SYNC_COPY_MAX_BYTES => Some(Self::SyncCopy),
            _ => None,
        }
    }

    /// The next way, for a service that does not offer this one.
    fn next(self, size_bytes: u64) -> Option<Self> {
        match self {
            Self::PutFromUrl => Self::first(size_bytes, false),
            Self::SyncCopy => None,
        }
    }
}

impl BlobCopy<'_> {
    async fn run(&self) -> Result<Whole, Failure> {
        if self.options.is_pending && self.adopt().await? {
            return Ok(Whole::Done);
        }
        let mut started = self.start_best().await;
        // The listing is older than this copy, or did not tell of it.
        if started.as_ref().is_err_and(|refusal| refusal.has_code("PendingCopyOperation")) {
            if self.adopt().await? {
                return Ok(Whole::Done);
            }
            started = self.start_best().await;
        }
        match started {
            Ok(Some(state)) => self.wait(state).await.map(|_| Whole::Done),
            Ok(None) => Ok(Whole::OnlyInBlocks),
            Err(refusal) => Err(refusal.failure(&self.doing())),
        }
    }

    /// Starts a copy in the best way that the service offers for this size; `None` when there is none.
    async fn start_best(&self) -> Result<Option<CopyState>, Refusal> {
        let lacks_put_from_url = &self.target.account.lacks_put_from_url;
        let has_put_from_url = !lacks_put_from_url.load(Ordering::Relaxed);
        let (mut next, mut seems_missing) = (Operation::first(self.blob.size_bytes, has_put_from_url), false);
        while let Some(operation) = next {
            let refusal = match self.start(operation).await {
                Ok(state) => {
                    // now that another way works, it was no passing trouble
                    lacks_put_from_url.fetch_or(seems_missing, Ordering::Relaxed);
                    return Ok(Some(state));
                }
                Err(refusal) => refusal,
            };
            let missing =
                refusal.is_not_implemented() || (operation == Operation::PutFromUrl && refusal.is_bare_error());
            // one that is cut off each time it is silent for too long would never be done
            let too_slow = self.blob.size_bytes > SYNC_COPY_MAX_BYTES && refusal.is_unreachable();
            if !missing && !too_slow && !refusal.is_too_large() {
                return Err(refusal);
            }
            seems_missing |= missing && operation == Operation::PutFromUrl;
            next = operation.next(self.blob.size_bytes);
        }
        Ok(None)
    }

    async fn start(&self, operation: Operation) -> Result<CopyState, Refusal> {
        let bytes = self.blob.size_bytes;
        match operation {
            Operation::PutFromUrl => in_time(bytes, self.put_from_url()).await,
            Operation::SyncCopy => in_time(bytes, self.copy_blob(Arc::new(RequiresSync))).await,
        }
    }

    async fn put_from_url(&self) -> azure_core::Result<CopyState> {
        let properties = &self.blob.properties;
        let options = BlockBlobClientUploadBlobFromUrlOptions {
            // the headers as they were listed, not those of whatever the URL gives
            copy_source_blob_properties: Some(false),
            blob_content_type: properties.content_type.clone(),
            blob_cache_control: properties.cache_control.clone(),
            blob_content_encoding: properties.content_encoding.clone(),
            blob_content_language: properties.content_language.clone(),
            blob_content_disposition: properties.content_disposition.clone(),
            blob_content_md5: self.blob.content_md5.map(Vec::from),
            metadata: Some(self.metadata()),
            source_if_match: Some(self.blob.etag.as_str().into()),
            ..Default::default()
        };
        let client = self.target.blob(self.write(), None)?.block_blob_client();
        client.upload_blob_from_url(self.source_url()?, Some(options)).await?;
        Ok(CopyState::started(None, Some(CopyStatus::Success)))
    }

    /// Copy Blob takes the source's headers along by itself.
    async fn copy_blob(&self, policy: Arc<dyn Policy>) -> azure_core::Result<CopyState> {
        let options = BlobClientStartCopyFromUrlOptions {
            metadata: Some(self.metadata()),
            source_if_match: Some(self.blob.etag.as_str().into()),
            ..Default::default()
        };
        let client = self.target.blob(self.write(), Some(policy))?;
        let started = client.start_copy_from_url(self.source_url()?, Some(options)).await?;
        Ok(CopyState::started(started.copy_id()?, started.copy_status()?))
    }
}

/// Makes Copy Blob synchronous; the SDK has no option for it (Azure Blob REST, "Copy Blob From URL").
#[derive(Debug)]
struct RequiresSync;

#[async_trait]
impl Policy for RequiresSync {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header("x-ms-requires-sync", "true");
        next[0].send(context, request, &next[1..]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_operation_that_takes_the_size_comes_first() {
        let (large, huge) = (SYNC_COPY_MAX_BYTES + 1, PUT_FROM_URL_MAX_BYTES + 1);
        assert_eq!([0, large].map(|size| Operation::first(size, true)), [Some(Operation::PutFromUrl); 2]);
        assert_eq!(Operation::first(huge, true), None);
        assert_eq!(Operation::PutFromUrl.next(SYNC_COPY_MAX_BYTES), Some(Operation::SyncCopy));
        assert_eq!(Operation::PutFromUrl.next(large), None);
        assert_eq!(Operation::SyncCopy.next(0), None);
    }
}
