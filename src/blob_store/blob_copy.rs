//! One blob on its way to a replica: where it comes from, where it goes, and how far the last copy onto it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use azure_storage_blob::models::{BlobClientGetPropertiesResultHeaders, CopyStatus};
use tokio::time::timeout;

use super::Container;
use super::classify::Refusal;
use super::sas::Grant;
use crate::failure::Failure;
use crate::model::{Blob, CopiedFrom, METADATA_SOURCE_ETAG};

/// A copy that is silent for longer than this and its bytes at the slowest rate is not waited for.
const LEAST_PATIENCE: Duration = Duration::from_secs(20);
const SLOWEST_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;

/// What is known before a copy, and how long it may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions {
    /// The listing shows a copy under way onto this blob: it is looked at before another one is begun.
    pub is_pending: bool,
    /// Until when a copy that the service makes in its own time is waited for; `None`: as long as it takes.
    pub until: Option<Instant>,
    /// Whether one that still runs then is aborted, because nobody will come back for it.
    pub is_last_chance: bool,
}

/// One blob on its way.
pub(super) struct BlobCopy<'a> {
    pub(super) target: &'a Container,
    pub(super) source: &'a Container,
    pub(super) blob: &'a Blob,
    pub(super) options: CopyOptions,
}

/// Makes a copy request that answers when the service has copied so many `bytes`, and waits far longer than any does that goes
/// well (0.2 s and a second for each 33 MB): an answer that was lost costs its request this time, not the whole timeout of a
/// call.
pub(super) async fn in_time<T>(bytes: u64, request: impl Future<Output = azure_core::Result<T>>) -> Result<T, Refusal> {
    let patience = LEAST_PATIENCE + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
    match timeout(patience, request).await {
        Ok(answer) => answer.map_err(Refusal::from),
        Err(_) => Err(Refusal::Unreachable(format!("silent for {} s", patience.as_secs()))),
    }
}

/// The last copy onto a blob (the `x-ms-copy-*` headers of Get Blob Properties, Azure Blob REST).
#[derive(Debug, Default)]
pub(super) struct CopyState {
    pub(super) copy_id: Option<String>,
    pub(super) status: Option<CopyStatus>,
    /// Why it failed.
    pub(super) description: Option<String>,
    /// Bytes done and bytes in all, as `12/100`.
    pub(super) progress: Option<String>,
    /// The address it is copied from.
    pub(super) source: Option<String>,
    /// What one of our copies names as its source in its metadata.
    pub(super) copied_from: Option<CopiedFrom>,
}

impl CopyState {
    /// As the answer to its start tells it.
    pub(super) fn started(copy_id: Option<String>, status: Option<CopyStatus>) -> Self {
        Self { copy_id, status, ..Self::default() }
    }
}

impl<'a> BlobCopy<'a> {
    /// One that needs nothing to be known.
    pub(super) fn of(target: &'a Container, source: &'a Container, blob: &'a Blob) -> Self {
        Self { target, source, blob, options: CopyOptions::default() }
    }
}

impl BlobCopy<'_> {
    /// `None` when there is no such blob.
    pub(super) async fn look(&self) -> Result<Option<CopyState>, Failure> {
        let look = async {
            let client = self.target.blob(Grant::Read(&self.blob.name), None)?;
            let found = client.get_properties(None).await?;
            Ok(CopyState {
                copy_id: found.copy_id()?,
                status: found.copy_status()?,
                description: found.copy_status_description()?,
                progress: found.copy_progress()?,
                source: found.copy_source()?,
                copied_from: found.metadata()?.remove(METADATA_SOURCE_ETAG).as_deref().map(CopiedFrom::parse),
            })
        };
        match look.await.map_err(|error: azure_core::Error| Refusal::from(error)) {
            Ok(state) => Ok(Some(state)),
            Err(refusal) if refusal.is_blob_absent() && !refusal.is_container_absent() => Ok(None),
            Err(refusal) => Err(refusal.failure(&format!("{}: looking how far it is", self.doing()))),
        }
    }

    pub(super) fn write(&self) -> Grant<'_> {
        Grant::Write(&self.blob.name)
    }

    pub(super) fn source_url(&self) -> azure_core::Result<String> {
        Ok(self.source.url(Grant::Read(&self.blob.name))?.into())
    }

    /// Any metadata in a request replaces all of the source's, so all of it is sent, and the source with it.
    pub(super) fn metadata(&self) -> HashMap<String, String> {
        let from = CopiedFrom { etag: self.blob.etag.clone(), site: Some(self.source.account.site.clone()) };
        let ours = (METADATA_SOURCE_ETAG.to_owned(), from.to_string());
        self.blob.metadata.clone().into_iter().chain([ours]).collect()
    }

    /// What a refusal has become, `part` of the copy being under way.
    pub(super) fn failure(&self, refusal: &Refusal, part: &str) -> Failure {
        let doing = if part.is_empty() { self.doing() } else { format!("{}: {part}", self.doing()) };
        self.at_its_site(refusal.failure(&doing))
    }

    /// The failure, at the site where it is to be mended.
    pub(super) fn at_its_site(&self, failure: Failure) -> Failure {
        match failure.code {
            "source-denied" | "source-gone" | "source-busy" | "source-changed" => {
                failure.at_site(&self.source.account.site)
            }
            _ => failure.at_site(&self.target.account.site),
        }
    }

    pub(super) fn doing(&self) -> String {
        format!(
            "copying blob '{}' from container '{}' of {} to container '{}' of {}",
            self.blob.name, self.source.name, self.source.account.site, self.target.name, self.target.account.site
        )
    }

    pub(super) fn transient(&self, code: &'static str, what: &str, why: &str) -> Failure {
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        Failure::transient(code, format!("{}: {what}{why}", self.doing()))
    }
}
