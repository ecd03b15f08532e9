//! Copies what is missing, server-side, with a fixed number of copies at once.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};

use super::plan::plan;
use super::progress::Progress;
use super::sites::Sites;
use super::source::SourceAsset;
use crate::failure::Failure;
use crate::model::{Asset, Blob, CopyCount};

/// Does: copies every blob that is missing or not identical at the replica, manifests last.
/// Safe to repeat because: what is complete is skipped, and a copy replaces its target as a whole.
/// Fails as: `Transient` for a copy that failed or a source that changed.
pub async fn copy_blobs(
    asset: &SourceAsset,
    replica: &Asset,
    sites: &Sites,
    progress: &Progress,
) -> Result<CopyCount, Failure> {
    let source = &asset.listing;
    let there = sites.replica.storage.list(&replica.container).await?;

    let started = Instant::now();
    let plan = plan(source, &there);
    let bytes = |blobs: &[&Blob]| blobs.iter().map(|blob| blob.size_bytes).sum::<u64>();
    progress.expect(source.blobs().len() as u64, source.bytes());
    progress.done(plan.skipped.len() as u64, bytes(&plan.skipped));
    for phase in [&plan.media, &plan.manifests] {
        copy_all(phase, asset, replica, sites, progress).await?;
    }
    Ok(CopyCount {
        copied_files: (plan.media.len() + plan.manifests.len()) as u64,
        skipped_files: plan.skipped.len() as u64,
        copied_bytes: bytes(&plan.media) + bytes(&plan.manifests),
        duration: started.elapsed(),
    })
}

async fn copy_all(
    blobs: &[&Blob],
    asset: &SourceAsset,
    replica: &Asset,
    sites: &Sites,
    progress: &Progress,
) -> Result<(), Failure> {
    // Collected first: a stream that borrows inside its closure is not `Send` for every lifetime, so it cannot be spawned.
    let copies: Vec<_> = blobs.iter().map(|blob| copy_one(blob, asset, replica, sites, progress)).collect();
    stream::iter(copies).buffer_unordered(sites.settings.copy_concurrency).try_collect::<()>().await
}

async fn copy_one(
    blob: &Blob,
    asset: &SourceAsset,
    replica: &Asset,
    sites: &Sites,
    progress: &Progress,
) -> Result<(), Failure> {
    let (from, to) = (&sites.source.storage, &sites.replica.storage);
    to.copy_from(&replica.container, from, &asset.asset.container, blob).await?;
    progress.done(1, blob.size_bytes);
    Ok(())
}
