//! Copies what is missing, server-side, with a fixed number of copies at once.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;

use super::plan::plan;
use super::progress::Progress;
use super::sites::Sites;
use super::source::SourceAsset;
use crate::failure::Failure;
use crate::model::{Asset, Blob, CopyCount, Listing, ReplicationJob};

/// How soon to look again for files that the encoder promised.
const EXPECTED_CHECK: Duration = Duration::from_secs(5);
/// How long an asset may be less than the encoder promised before that is taken for an error.
const EXPECTED_PATIENCE: time::Duration = time::Duration::minutes(10);

/// What was copied, and from which listing.
#[derive(Debug)]
pub struct Copied {
    /// The source as it was listed before the copy.
    pub source: Listing,
    /// How much this run had to do.
    pub count: CopyCount,
}

/// Does: copies every blob that is missing or not identical at the replica, manifests last.
/// Safe to repeat because: what is complete is skipped, and a copy replaces its target as a whole.
/// Fails as: `Permanent` for blobs that cannot be streamed, `Transient` for a copy that failed or a source that changed,
/// `NeedsMoreTime` where the encoder promised more than is there.
pub async fn copy_blobs(
    job: &ReplicationJob,
    asset: &SourceAsset,
    replica: &Asset,
    sites: &Sites,
    progress: &Progress,
) -> Result<Copied, Failure> {
    let at_source = |failure: Failure| failure.at_site(&sites.source.name);
    let source = sites.source.storage.list(&asset.asset.container).await?;
    verify_expected(job, &source).map_err(at_source)?;
    verify_manifest_is_there(asset, &source).map_err(at_source)?;
    let there = sites.replica.storage.list(&replica.container).await?;

    let started = Instant::now();
    let plan = plan(&source, &there).map_err(at_source)?;
    let bytes = |blobs: &[&Blob]| blobs.iter().map(|blob| blob.size_bytes).sum::<u64>();
    progress.expect(source.blobs().len() as u64, source.bytes());
    progress.done(plan.skipped.len() as u64, bytes(&plan.skipped));
    for phase in [&plan.media, &plan.manifests] {
        copy_all(phase, asset, replica, sites, progress).await?;
    }
    let count = CopyCount {
        copied_files: (plan.media.len() + plan.manifests.len()) as u64,
        skipped_files: plan.skipped.len() as u64,
        copied_bytes: bytes(&plan.media) + bytes(&plan.manifests),
        duration: started.elapsed(),
    };
    Ok(Copied { source, count })
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

fn verify_expected(job: &ReplicationJob, source: &Listing) -> Result<(), Failure> {
    let Some(expected) = job.expected else { return Ok(()) };
    let (files, bytes) = (source.blobs().len() as u64, source.bytes());
    if expected.files.is_none_or(|wanted| wanted == files) && expected.bytes.is_none_or(|wanted| wanted == bytes) {
        return Ok(());
    }
    let wanted = |number: Option<u64>| number.map_or_else(|| "any number of".to_owned(), |number| number.to_string());
    let message = format!(
        "source has {files} files and {bytes} bytes where the message promises {} files and {} bytes",
        wanted(expected.files),
        wanted(expected.bytes)
    );
    if OffsetDateTime::now_utc() - job.received_at < EXPECTED_PATIENCE {
        return Err(Failure::needs_more_time("source-incomplete", message, EXPECTED_CHECK));
    }
    let hint = "check the encoder: it announced an asset that is not what it says; correct `expected` or encode again";
    Err(Failure::permanent("source-not-as-expected", message).with_hint(hint))
}

fn verify_manifest_is_there(asset: &SourceAsset, source: &Listing) -> Result<(), Failure> {
    if source.find(&asset.manifest).is_some() {
        return Ok(());
    }
    let message =
        format!("'{}' is registered but its blob is not in container '{}'", asset.manifest, asset.asset.container);
    Err(Failure::permanent("manifest-blob-missing", message)
        .with_hint("the source asset itself cannot be streamed: upload the file again or encode again, then replay"))
}
