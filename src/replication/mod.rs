//! The heart: resolves requests, and copies one asset to one replica site, publishes it there and proves that it plays.

mod budget;
mod bytes;
mod containers;
mod copy;
mod engine;
mod files;
mod holder;
mod join;
mod lease;
mod locator;
mod names;
mod packaged;
mod playback;
mod progress;
mod report;
mod resolve;
mod sas_hold;
mod sites;
mod source;
mod storage;
mod verify;

pub use budget::Budget;
pub use containers::copy_container;
pub use progress::{Progress, Snapshot};
pub use resolve::{Resolution, named_jobs, named_route, resolve};
pub use sites::{AllSites, Site, SiteStorage, Sites};

use std::future::Future;
use std::pin::pin;
use std::time::Instant;

use futures::FutureExt;
use time::OffsetDateTime;
use tracing::Instrument;

use self::storage::Storage;
use crate::failure::{Failure, FailureKind};
use crate::model::{Location, ManifestProof, Protection, Replicated, ReplicationJob, Timing, Verification};
use crate::telemetry::{Part, WorkMetrics, traces};

/// Copies one asset to one replica site and publishes it there under the source locator's id.
/// Safe to run again at any time: each step looks first and acts only where something is missing.
///
/// # Errors
/// The failure of the first step that failed, with the step and the site.
pub async fn replicate(
    job: &ReplicationJob,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Replicated, Failure> {
    let storage = Storage::new(job, sites);
    let lease = match step(progress, "take_lease", lease::take_lease(job, sites)).await {
        Ok(lease) => lease,
        Err(failure) => return storage.close(Err(failure), budget).await,
    };
    let result = {
        let mut lost = pin!(lease.keep().fuse());
        let result = tokio::select! {
            // boxed: it is large, and all that waits for it would be moved with it
            result = Box::pin(pipeline(job, sites, &storage, budget, progress)) => result,
            failure = &mut lost => Err(failure.at_site(&sites.replica.name)),
            overrun = budget.overrun() => Err(overrun),
        };
        // With the lease in hand: who takes it next must find no locator that is about to be deleted.
        let mut closing = pin!(storage.close(result, budget));
        tokio::select! { result = &mut closing => result, _ = &mut lost => closing.await }
    };
    lease.release().await;
    result
}

/// Deletes the SAS locators that a job has left for a next slice, when there will be none. What cannot be deleted is told
/// in the log.
pub async fn give_back(job: &ReplicationJob, sites: &Sites) {
    Storage::new(job, sites).sweep().await;
}

async fn pipeline(
    job: &ReplicationJob,
    sites: &Sites,
    storage: &Storage<'_>,
    budget: Budget,
    progress: &Progress,
) -> Result<Replicated, Failure> {
    if let (None, Some(location)) = (&sites.source.media, Location::parse(&job.asset_id)) {
        return Box::pin(packaged::replicate_packaged(job, &location, sites, budget, progress)).await;
    }
    let (source, replica) = (&sites.source, &sites.replica);

    let mut asset = step(progress, "find_source_asset", source::find_source_asset(job, sites, storage)).await?;
    let locator = step(progress, "ensure_source_locator", locator::ensure_source_locator(job, &asset, sites)).await?;
    let mark = source::mark(job, &asset);
    let twin_asset =
        step(progress, "ensure_replica_asset", source::ensure_replica_asset(&mark, &asset, replica)).await?;
    step(progress, progress::COPY_STEP, copy::copy_blobs(&mut asset, &twin_asset, storage, sites, budget, progress))
        .await?;
    let verifying = verify::verify_copy(&mut asset, &twin_asset, storage, sites, budget, progress);
    let verified = step(progress, "verify_copy", verifying).await?;
    let copied_at = OffsetDateTime::now_utc();
    let files = step(
        progress,
        "register_files",
        files::register_files(&asset.files, &twin_asset, &verified, storage, replica, budget),
    )
    .await?;
    let twin =
        step(progress, "ensure_replica_locator", locator::ensure_replica_locator(&mark, &files, &locator, replica))
            .await?;
    let published_at = OffsetDateTime::now_utc();
    let playing = Box::pin(playback::verify_playback(&asset, &locator, &twin, sites, budget, progress));
    let playback = step(progress, "verify_playback", playing).await?;

    let content = verified.content().clone();
    Ok(Replicated {
        asset_id: asset.asset.id,
        asset_name: asset.asset.name,
        replica_asset_id: twin_asset.id,
        location: None,
        locator_id: Some(twin.id),
        source: source.published(playback.source_base),
        replica: replica.published(playback.replica_base),
        urls: playback.urls,
        content,
        protection: Protection { key_ids: playback.found.protection, ..Protection::default() },
        verification: verification(playback.found.manifests, playback.found.checked, sites)
            .with_cors(playback.found.same_cors, None),
        valid_from: twin.start,
        valid_until: Some(twin.expires),
        copy: progress.count(),
        timing: Timing {
            finished_at: job.finished_at,
            received_at: job.received_at,
            copied_at,
            published_at,
            verified_at: OffsetDateTime::now_utc(),
        },
        attempts: job.attempt,
        correlation: job.correlation.clone(),
        traceparent: job.traceparent.clone(),
    })
}

/// What was asked for, and what came of it.
fn verification(manifests: Vec<ManifestProof>, checked: u64, sites: &Sites) -> Verification {
    let (segments, bytes) = (sites.checked_segments, sites.compared_bytes);
    Verification { manifests, segments, checked, bytes, ..Verification::default() }
}

/// What the time of a step is counted as.
fn part_of(step: &str) -> Part {
    match step {
        progress::COPY_STEP => Part::Bytes,
        "verify_copy" | "verify_playback" | "read_manifests" => Part::Verification,
        _ => Part::ControlPlane,
    }
}

/// Whether a replica was looked at and is not what it should be. Media are compared before their manifests are copied, too.
fn is_verdict(part: Part, failure: &Failure) -> bool {
    let differs = matches!(failure.code, "replica-differs" | "replica-has-strays");
    (part == Part::Verification || differs) && !matches!(failure.kind, FailureKind::NeedsMoreTime { .. })
}

/// Runs one step under its name, so that log lines and failures say where they come from.
async fn step<T>(
    progress: &Progress,
    name: &'static str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    progress.at(name);
    let (span, begun) = (tracing::debug_span!("step", name), Instant::now());
    let traced = traces::step(name);
    let result = work.instrument(traced.clone()).instrument(span).await;
    if let Err(failure) = &result {
        traces::failed(&traced, failure.code);
    }
    let part = part_of(name);
    WorkMetrics::took(part, begun.elapsed());
    if let Err(failure) = &result
        && is_verdict(part, failure)
    {
        WorkMetrics::not_verified(name, failure.code);
    }
    if result.is_ok() {
        progress.got_on(name);
        tracing::debug!(step = name, seconds = begun.elapsed().as_secs_f64(), "step done");
    }
    result.map_err(|failure| failure.at_step(name))
}
