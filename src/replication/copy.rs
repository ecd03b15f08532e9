//! Copies what is missing, server-side, with a fixed number of copies at once.

use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::budget::Budget;
use super::plan::plan;
use super::progress::Progress;
use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use crate::blob_store::Container;
use crate::failure::Failure;
use crate::model::{Asset, Blob, CopyCount};

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
    let copier = Copier {
        from: storage.source(&asset.asset),
        to: storage.replica(replica),
        concurrency: sites.settings.copy_concurrency,
        budget,
        progress,
    };
    let there = copier.to.list().await?;

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
    concurrency: usize,
    budget: Budget,
    progress: &'a Progress,
}

impl Copier<'_> {
    /// Copies begin only while there is time; those under way are waited for, so that a slice ends at a blob's boundary.
    /// The first ones begin in any case, so that every slice gets on. None begin after one has failed.
    async fn copy_all(&self, blobs: &[&Blob]) -> Result<(), Failure> {
        let mut waiting = blobs.iter();
        let mut running = FuturesUnordered::new();
        let mut failed = None;
        let mut first = self.concurrency;
        loop {
            while failed.is_none() && running.len() < self.concurrency && (first > 0 || !self.budget.is_spent()) {
                let Some(blob) = waiting.next() else { break };
                first = first.saturating_sub(1);
                running.push(self.copy_one(blob));
            }
            match running.next().await {
                Some(Ok(())) => {}
                Some(Err(failure)) => failed = failed.or(Some(failure)),
                None => break,
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None if waiting.len() > 0 => self.budget.check(&format!("copying, {} files are left", waiting.len())),
            None => Ok(()),
        }
    }

    async fn copy_one(&self, blob: &Blob) -> Result<(), Failure> {
        self.to.copy_from(&self.from, blob).await?;
        self.progress.done(1, blob.size_bytes);
        Ok(())
    }
}
