//! Copies one blob on the server side: no byte of it passes through this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use azure_storage_blob::models::{
    BlobClientStartCopyFromUrlOptions, BlobClientStartCopyFromUrlResultHeaders,
    BlockBlobClientUploadBlobFromUrlOptions, CopyStatus,
};

use super::blob_copy::{BlobCopy, CopyOptions, CopyState};
use super::classify::Refusal;
use super::{Container, retry};
use crate::failure::Failure;
use crate::model::{Blob, METADATA_SOURCE_ETAG};

/// Largest source of Put Blob From URL (Azure Blob REST, from version 2020-04-08 on).
const PUT_FROM_URL_MAX_BYTES: u64 = 5000 * 1024 * 1024;
/// Largest source of a synchronous Copy Blob (Azure Blob REST, "Copy Blob From URL").
const SYNC_COPY_MAX_BYTES: u64 = 256 * 1024 * 1024;

impl Container {
    /// Copies `blob`, in the version that `source` listed, with its headers and metadata, and waits until it is done.
    /// An older copy is overwritten; one that is under way is waited for if it is the same, else aborted. The copy
    /// names its source's version in its metadata. What the service fails at is begun again a few times, what somebody
    /// aborted is not.
    ///
    /// # Errors
    /// Transient: `source-changed` when the source has another version by now, `source-gone`, `source-busy`,
    /// `copy-failed`, `copy-aborted`, and what a busy or silent service gives. `NeedsMoreTime` `copy-pending` when the
    /// service is still copying. Permanent: `container-missing`, `storage-denied`, `source-denied`, `storage-refused`.
    pub async fn copy_from(&self, source: &Self, blob: &Blob, options: CopyOptions) -> Result<(), Failure> {
        let copy = BlobCopy { target: self, source, blob, options };
        let copied = retry::run_until(self.account.transport.tries(), options.until, || copy.run()).await;
        copied.map_err(|failure| match failure.code {
            "source-denied" | "source-gone" | "source-busy" | "source-changed" => failure.at_site(&source.account.site),
            _ => failure.at_site(&self.account.site),
        })
    }
}

/// The ways to copy a blob, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// Put Blob From URL: done when it answers.
    PutFromUrl,
    /// Copy Blob with `x-ms-requires-sync`: done when it answers.
    SyncCopy,
    /// Copy Blob: the service copies when it finds time.
    AsyncCopy,
}

impl Operation {
    fn first(size_bytes: u64, has_put_from_url: bool) -> Self {
        match size_bytes {
            ..=PUT_FROM_URL_MAX_BYTES if has_put_from_url => Self::PutFromUrl,
            ..=SYNC_COPY_MAX_BYTES => Self::SyncCopy,
            _ => Self::AsyncCopy,
        }
    }

    /// The next way, for a service that does not offer this one.
    fn next(self, size_bytes: u64) -> Option<Self> {
        match self {
            Self::PutFromUrl => Some(Self::first(size_bytes, false)),
            Self::SyncCopy => Some(Self::AsyncCopy),
            Self::AsyncCopy => None,
        }
    }
}

impl BlobCopy<'_> {
    async fn run(&self) -> Result<(), Failure> {
        // A copy that the service makes in its own time empties its target until it is done. So a look comes first: what
        // another worker has completed since the listing may be announced already.
        let is_slow = self.first_operation() == Operation::AsyncCopy;
        if (self.options.is_pending || is_slow) && self.adopt().await? {
            return Ok(());
        }
        let mut started = self.start_best().await;
        // The listing is older than this copy, or did not tell of it.
        if started.as_ref().is_err_and(|refusal| refusal.has_code("PendingCopyOperation")) {
            if self.adopt().await? {
                return Ok(());
            }
            started = self.start_best().await;
        }
        match started {
            Ok(state) => self.wait(state).await.map(drop),
            Err(refusal) => Err(refusal.failure(&self.doing())),
        }
    }

    /// Starts a copy in the best way that the service offers for this size.
    async fn start_best(&self) -> Result<CopyState, Refusal> {
        let lacks_put_from_url = &self.target.account.lacks_put_from_url;
        let mut operation = self.first_operation();
        let mut seems_missing = false;
        loop {
            let refusal = match self.start(operation).await {
                Ok(state) => {
                    // now that another way works, it was no passing trouble
                    lacks_put_from_url.fetch_or(seems_missing, Ordering::Relaxed);
                    return Ok(state);
                }
                Err(refusal) => refusal,
            };
            let missing =
                refusal.is_not_implemented() || (operation == Operation::PutFromUrl && refusal.is_bare_error());
            // one that is cut off each time it is silent for too long would never be done
            let too_slow = self.blob.size_bytes > SYNC_COPY_MAX_BYTES && refusal.is_unreachable();
            match operation.next(self.blob.size_bytes).filter(|_| missing || too_slow || refusal.is_too_large()) {
                Some(next) => {
                    seems_missing |= missing && operation == Operation::PutFromUrl;
                    operation = next;
                }
                None => return Err(refusal),
            }
        }
    }

    fn first_operation(&self) -> Operation {
        let lacks_put_from_url = self.target.account.lacks_put_from_url.load(Ordering::Relaxed);
        Operation::first(self.blob.size_bytes, !lacks_put_from_url)
    }

    async fn start(&self, operation: Operation) -> Result<CopyState, Refusal> {
        let started = match operation {
            Operation::PutFromUrl => self.put_from_url().await,
            Operation::SyncCopy => self.copy_blob(Some(Arc::new(RequiresSync))).await,
            Operation::AsyncCopy => self.copy_blob(None).await,
        };
        started.map_err(Refusal::from)
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
    async fn copy_blob(&self, policy: Option<Arc<dyn Policy>>) -> azure_core::Result<CopyState> {
        let options = BlobClientStartCopyFromUrlOptions {
            metadata: Some(self.metadata()),
            source_if_match: Some(self.blob.etag.as_str().into()),
            ..Default::default()
        };
        let client = self.target.blob(self.write(), policy)?;
        let started = client.start_copy_from_url(self.source_url()?, Some(options)).await?;
        Ok(CopyState::started(started.copy_id()?, started.copy_status()?))
    }

    /// Any metadata in the request replaces all of the source's, so all of it is sent.
    fn metadata(&self) -> HashMap<String, String> {
        let ours = (METADATA_SOURCE_ETAG.to_owned(), self.blob.etag.clone());
        self.blob.metadata.clone().into_iter().chain([ours]).collect()
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
        assert_eq!([0, large].map(|size| Operation::first(size, true)), [Operation::PutFromUrl; 2]);
        assert_eq!(Operation::first(huge, true), Operation::AsyncCopy);
        assert_eq!(Operation::PutFromUrl.next(SYNC_COPY_MAX_BYTES), Some(Operation::SyncCopy));
        assert_eq!(Operation::PutFromUrl.next(large), Some(Operation::AsyncCopy));
        assert_eq!(Operation::AsyncCopy.next(0), None);
    }
}
