//! Replicates packaged streams: what lies in a container, or in a folder of one, and is served straight from there. Paths are
//! equal by construction, and there is no service to ask: the manifests themselves tell what belongs together.

mod findings;
mod manifests;
mod place;
mod source;

pub use place::find_location;

use time::OffsetDateTime;

use self::manifests::Presentation;
use self::place::{Place, ensure_replica_container};
use self::source::Packaged;
use super::budget::Budget;
use super::copy::copy_containers;
use super::join::Join;
use super::playback::{self, Playback};
use super::progress::{self, Progress};
use super::sites::Sites;
use super::step;
use super::verify::{Comparison, VerifiedCopy};
use crate::failure::Failure;
use crate::model::{Location, Protection, Replicated, ReplicationJob, StreamingUrls, Timing};

/// The pipeline of a job whose asset is a location.
pub async fn replicate_packaged(
    job: &ReplicationJob,
    location: &Location,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Replicated, Failure> {
    let place = Place::open(location, sites)?;

    let mut asset = step(progress, "find_source_asset", source::find_source_asset(job, &place, sites)).await?;
    let reading = Box::pin(manifests::read_manifests(job, &asset, &place, sites));
    let presentation = step(progress, "read_manifests", reading).await?;
    let ensuring = ensure_replica_container(&place, &asset, sites);
    step(progress, "ensure_replica_container", ensuring).await?;
    let copying = Box::pin(copy_files(&mut asset, &presentation, &place, sites, budget, progress));
    step(progress, progress::COPY_STEP, copying).await?;
    let verifying = verify_files(&mut asset, &place, sites, budget, progress);
    let verified = step(progress, "verify_copy", verifying).await?;
    let copied_at = OffsetDateTime::now_utc();
    let playing = Box::pin(verify_playback(&presentation, &place, &verified, sites, budget, progress));
    let playback = step(progress, "verify_playback", playing).await?;
    let same_storage_cors = place.has_same_cors(sites).await;

    Ok(Replicated {
        asset_id: job.asset_id.clone(),
        asset_name: location.name().to_owned(),
        replica_asset_id: job.asset_id.clone(),
        location: Some(location.clone()),
        locator_id: None,
        source: sites.source.published(playback.source_base),
        replica: sites.replica.published(playback.replica_base),
        urls: playback.urls,
        content: verified.content().clone(),
        protection: Protection { key_ids: playback.found.protection, license_hosts: presentation.license_hosts },
        verification: super::verification(playback.found.manifests, playback.found.checked, sites)
            .with_cors(playback.found.same_cors, same_storage_cors),
        valid_from: None,
        valid_until: None,
        copy: progress.count(),
        timing: Timing {
            finished_at: job.finished_at,
            received_at: job.received_at,
            copied_at,
            published_at: copied_at,
            verified_at: OffsetDateTime::now_utc(),
        },
        attempts: job.attempt,
        correlation: job.correlation.clone(),
        traceparent: job.traceparent.clone(),
    })
}

/// Does: copies every file that is missing or not identical at the replica: media, then media playlists, then what players
/// begin with, so that no viewer sees a manifest whose segments are missing.
/// Safe to repeat because: what is complete is skipped, and a copy replaces its target as a whole.
/// Fails as: `NeedsMoreTime` when the slice is spent, `Transient` for a copy that failed or a source that changed.
async fn copy_files(
    asset: &mut Packaged,
    presentation: &Presentation,
    place: &Place,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<(), Failure> {
    progress.begin(asset.inventory.content.files, asset.inventory.content.bytes);
    if asset.already.is_some() {
        progress.all_skipped();
        return Ok(());
    }
    let (from, to) = (&place.from, &place.to);
    let known = asset.known.take().map_or_else(|| Join::to_copy(from, to), |known| known.join(from, to));
    copy_containers(from.clone(), to.clone(), known, &presentation.order, sites, budget, progress).await
}

/// Does: lists both sites again and compares them, then bytes, where the settings ask for it.
/// Safe to repeat because: it only reads, and empties copies with wrong bytes.
/// Fails as: `Transient` when the source changed in mid-copy or a file is not identical, `Permanent` when the replica holds
/// files that the source has not, `NeedsMoreTime` when the slice is over.
async fn verify_files(
    asset: &mut Packaged,
    place: &Place,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<VerifiedCopy, Failure> {
    let equal = match asset.already.take() {
        Some(equal) => equal,
        None => Comparison::default()
            .read(Join::to_compare(&place.from, &place.to))
            .await?
            .verified(&asset.inventory, sites)?,
    };
    equal.with_bytes(&place.from, &place.to, sites, budget, progress).await
}

/// Does: plays what players begin with, from both streaming endpoints.
/// Safe to repeat because: it only reads.
/// Fails as: `verify_playback` of other assets.
async fn verify_playback(
    presentation: &Presentation,
    place: &Place,
    verified: &VerifiedCopy,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Playback, Failure> {
    let [source, replica] = &place.bases;
    let urls = StreamingUrls::of_files(source, replica, &place.location, &presentation.entries);
    let urls = urls.map_err(|error| playback::unusable(&error))?;
    playback::verify_files(place.bases.clone(), urls, verified.content(), sites, budget, progress).await
}
