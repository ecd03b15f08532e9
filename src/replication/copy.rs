//! Copies what is missing, server-side, with a fixed number of copies at once.

use std::time::Instant;

use super::budget::Budget;
use super::plan::plan;
use super::progress::Progress;
use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use crate::blob_store::{Container, CopyOptions};
use crate::failure::Failure;
use crate::model::{Asset, Blob, CopyCount, CopyStatus, Listing};

/// Does: copies every blob that is missing or not identical at the replica, manifests last, until the slice is spent.
/// Safe to repeat because: what is complete is skipped, and a copy replaces its target as a whole.
/// Fails as: `NeedsMoreTime` when the slice is spent, `Transient` for a copy that failed or a source that changed.
pub async fn copy_blobs(
    asset: &SourceAsset,
    replica: &Asset,
    storage: &Storage<'_>,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<CopyCount, Failure> {
    let source = &asset.listing;
    let to = storage.replica(replica).await?;
    let there = to.list().await?;
    let copier = Copier {
        from: storage.source(&asset.asset).await?,
        to,
        there: &there,
        concurrency: sites.settings.copy_concurrency,
        budget,
        progress,
    };

    let started = Instant::now();
    let plan = plan(source, &there);
    let bytes = |blobs: &[&Blob]| blobs.iter().map(|blob| blob.size_bytes).sum::<u64>();
    progress.expect(source.blobs().len() as u64, source.bytes());
    progress.done(plan.skipped.len() as u64, bytes(&plan.skipped));
    for phase in [&plan.media, &plan.manifests] {
        copier.copy_all(phase).await?;
    }
    Ok(CopyCount {
        copied_files: (plan.media.len() + plan.manifests.len()) as u64,
        skipped_files: plan.skipped.len() as u64,
        copied_bytes: bytes(&plan.media) + bytes(&plan.manifests),
        duration: started.elapsed(),
    })
}

struct Copier<'a> {
    from: Container,
    to: Container,
    there: &'a Listing,
    concurrency: usize,
    budget: Budget,
    progress: &'a Progress,
}

impl Copier<'_> {
    async fn copy_all(&self, blobs: &[&Blob]) -> Result<(), Failure> {
        match self.budget.each(blobs.iter(), self.concurrency, |blob| self.copy_one(blob)).await? {
            0 => Ok(()),
            left => Err(self.budget.spent(&format!("copying, {left} files are left"))),
        }
    }

    async fn copy_one(&self, blob: &Blob) -> Result<(), Failure> {
        let is_pending = |copy: &Blob| copy.copy_status == Some(CopyStatus::Pending);
        let options = CopyOptions {
            is_pending: self.there.find(&blob.name).is_some_and(is_pending),
            until: self.budget.ends(),
            is_last_chance: self.budget.is_last(),
        };
        self.to.copy_from(&self.from, blob, options).await?;
        self.progress.done(1, blob.size_bytes);
        Ok(())
    }
}
