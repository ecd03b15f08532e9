//! Copies that the service makes in its own time: waited for, adopted from who began them, or aborted.

use std::fmt::Write;
use std::time::{Duration, Instant};

use azure_storage_blob::models::CopyStatus;
use percent_encoding::percent_decode_str;
use tokio::time::sleep;
use url::Url;

use super::Container;
use super::blob_copy::{BlobCopy, CopyOptions, CopyState};
use super::classify::{CHECK_COPY_AFTER, Refusal, harmless};
use super::retry;
use super::sas::Grant;
use crate::failure::Failure;
use crate::model::Blob;

const FIRST_LOOK_AFTER: Duration = Duration::from_millis(250);
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Container {
    /// Looks at a copy onto the blob that the listing shows as under way: waits for it where it is of the same version of
    /// the same blob, and says whether the blob is complete now; aborts any other. Tries once.
    ///
    /// # Errors
    /// As [`Container::copy_whole`].
    pub async fn adopt_copy(&self, source: &Self, blob: &Blob, options: CopyOptions) -> Result<bool, Failure> {
        let copy = BlobCopy { target: self, source, blob, options };
        copy.adopt().await.map_err(|failure| copy.at_its_site(failure))
    }
}

impl BlobCopy<'_> {
    /// Looks at a copy that somebody, most likely an earlier slice, has begun onto this blob. The same source in the
    /// same version: waits for it, and says whether the blob is complete now. Anything else that is still under way is
    /// aborted, for nothing else can be written before it ends.
    pub(super) async fn adopt(&self) -> Result<bool, Failure> {
        let Some(found) = self.look().await? else { return Ok(false) };
        let is_ours = self.is_same_source(&found)
            && found.copied_from.as_ref().is_none_or(|source| source.etag == self.blob.etag);
        let ended = match (&found.status, is_ours) {
            (Some(CopyStatus::Pending), true) => {
                tracing::debug!(blob = self.blob.name, "a copy that is under way is waited for");
                self.wait(found).await?
            }
            (Some(CopyStatus::Pending), false) => {
                tracing::info!(blob = self.blob.name, "a copy from another source, or of another version, is aborted");
                self.abort(found.copy_id.as_deref().unwrap_or_default()).await?;
                return Ok(false);
            }
            (_, true) => found,
            (_, false) => return Ok(false),
        };
        // Whose version nobody named may be any: only a copy of our own proves which one it is.
        Ok(matches!(ended.status, Some(CopyStatus::Success))
            && ended.copied_from.is_some_and(|source| source.etag == self.blob.etag))
    }

    /// Waits until a started copy has ended well.
    pub(super) async fn wait(&self, started: CopyState) -> Result<CopyState, Failure> {
        let copy_id = started.copy_id.clone();
        let (mut state, mut pause) = (started, FIRST_LOOK_AFTER);
        loop {
            let why = state.description.as_deref().map(harmless).unwrap_or_default();
            match state.status {
                _ if state.copy_id != copy_id => {
                    return Err(self.transient("copy-aborted", "another copy has taken its place", ""));
                }
                Some(CopyStatus::Success) => return Ok(state),
                Some(CopyStatus::Failed) => return Err(self.transient("copy-failed", "the service failed", &why)),
                Some(CopyStatus::Aborted) => return Err(self.transient("copy-aborted", "it was aborted", &why)),
                None => return Err(self.transient("copy-aborted", "the blob was overwritten meanwhile", "")),
                Some(CopyStatus::Pending) => {
                    let left = self.options.until.map(|until| until.saturating_duration_since(Instant::now()));
                    if left.is_some_and(|left| left.is_zero()) {
                        return Err(self.time_is_up(&state).await);
                    }
                    sleep(left.map_or(pause, |left| left.min(pause))).await;
                }
            }
            pause = (pause * 2).min(LOOK_EVERY);
            let look = retry::run(self.target.account.transport.tries(), || self.look()).await?;
            state = look.ok_or_else(|| self.transient("copy-aborted", "the blob was deleted meanwhile", ""))?;
        }
    }

    /// The copy goes on in the service, and its next slice finds it. After the last one nobody would: it would refuse
    /// every other writer for as long as two weeks (Copy Blob, Azure Blob REST).
    async fn time_is_up(&self, state: &CopyState) -> Failure {
        let mut told = format!("{}: the service is still copying", self.doing());
        if let Some((done, all)) = state.progress.as_deref().and_then(|progress| progress.split_once('/')) {
            let _ = write!(told, ", {done} of {all} bytes so far");
        }
        if !self.options.is_last_chance {
            return Failure::needs_more_time("copy-pending", told, CHECK_COPY_AFTER);
        }
        let copy_id = state.copy_id.as_deref().unwrap_or_default();
        let hint = match self.abort(copy_id).await {
            Ok(()) => {
                told.push_str("; the job's time is over, so this copy was aborted");
                "the storage service copies in its own time: look at the load of both accounts, then replay".to_owned()
            }
            Err(failure) => format!(
                "the job's time is over, and the copy could not be aborted ({failure}): abort it (copy id {copy_id}) or \
                 delete the blob, then replay"
            ),
        };
        Failure::needs_more_time("copy-pending", told, CHECK_COPY_AFTER).with_hint(hint)
    }

    /// One that has ended by itself meanwhile is fine.
    async fn abort(&self, copy_id: &str) -> Result<(), Failure> {
        let abort = async { self.target.blob(self.write(), None)?.abort_copy(copy_id, None).await };
        match abort.await.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.has_code("NoPendingCopyOperation") || refusal.is_blob_absent() => Ok(()),
            Err(refusal) => Err(refusal.failure(&format!("{}: aborting the copy under way", self.doing()))),
        }
    }

    fn is_same_source(&self, found: &CopyState) -> bool {
        let Ok(ours) = self.source.url(Grant::Read(&self.blob.name)) else { return false };
        found.source.as_deref().and_then(|url| Url::parse(url).ok()).is_some_and(|theirs| is_same_blob(&ours, &theirs))
    }
}

/// Whether two addresses name one blob: scheme and signature do not matter, nor does how the path is encoded.
fn is_same_blob(one: &Url, other: &Url) -> bool {
    let path = |url: &Url| percent_decode_str(url.path()).collect::<Vec<u8>>();
    (one.host_str(), one.port()) == (other.host_str(), other.port()) && path(one) == path(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_blob_has_many_addresses() {
        let same = |one: &str, other: &str| is_same_blob(&Url::parse(one).unwrap(), &Url::parse(other).unwrap());
        let ours = "https://west.example/c/a%20b/%C3%BC(1).mp4?sp=r&sig=x";
        assert!(same(ours, "http://West.example/c/a%20b/ü%281%29.mp4"));
        assert!(!same(ours, "https://west.example/c/a%20b/%C3%BC.mp4?sp=r&sig=x"));
        assert!(!same(ours, "https://east.example/c/a%20b/%C3%BC(1).mp4"));
        assert!(!same(ours, "https://west.example:8443/c/a%20b/%C3%BC(1).mp4"));
    }
}
