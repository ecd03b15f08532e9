//! Proves that both sites play the same: endpoints running, manifests of every protocol fetched and compared, segments asked
//! for at both.

mod endpoint;
mod facts;
mod pieces;
mod walk;

use futures::future::try_join;
use time::OffsetDateTime;
use url::Url;

use self::endpoint::Endpoint;
pub use self::walk::Found;
use self::walk::Walk;
use super::budget::Budget;
use super::progress::Progress;
use super::sites::{Site, Sites};
use super::source::SourceAsset;
use crate::failure::Failure;
use crate::model::{Content, StreamingLocator, StreamingUrls};

/// A locator is new for so long; ours and those of the old tools begin some minutes before they are made.
const YOUNG: time::Duration = time::Duration::minutes(20);

/// Evidence that both sites play the same.
#[derive(Debug)]
pub struct Playback {
    /// Scheme, host, port and base path of the source's streaming endpoint.
    pub source_base: Url,
    /// The same of the replica's.
    pub replica_base: Url,
    /// All addresses.
    pub urls: StreamingUrls,
    /// What was found to be equal.
    pub found: Found,
}

/// Does: checks that both streaming endpoints run, then fetches and compares both manifests of every protocol, and asks both
/// for segments.
/// Safe to repeat because: it only reads.
/// Fails as: `Permanent` for a stopped endpoint, an expired locator or different streams, `NeedsMoreTime` while a
/// new locator is not visible, `Transient` for what the endpoints answer in trouble.
pub async fn verify_playback(
    asset: &SourceAsset,
    locator: &StreamingLocator,
    twin: &StreamingLocator,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Playback, Failure> {
    let (source, replica) = (&sites.source, &sites.replica);
    let (source_base, replica_base) = try_join(find_base(source, locator), find_base(replica, twin)).await?;
    let urls = StreamingUrls::build(&source_base, &replica_base, locator.id, &asset.files.manifest)
        .map_err(|error| unusable(&error))?;
    let young = YOUNG + time::Duration::minutes(i64::from(sites.settings.locator_start_minutes_ago));
    let is_new = locator.start.is_none_or(|start| OffsetDateTime::now_utc() - start < young);
    let content = &asset.inventory.content;
    play([source_base, replica_base], urls, is_new, content, sites, budget, progress).await
}

/// Does: the same for files that are served straight from storage.
/// Safe to repeat because: it only reads.
/// Fails as: `verify_playback`, but for locators, of which there are none.
pub async fn verify_files(
    bases: [Url; 2],
    urls: StreamingUrls,
    content: &Content,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Playback, Failure> {
    play(bases, urls, false, content, sites, budget, progress).await
}

async fn play(
    bases: [Url; 2],
    urls: StreamingUrls,
    is_new: bool,
    content: &Content,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Playback, Failure> {
    let [source_base, replica_base] = bases;
    let endpoint = |site, base: &Url, is_new| Endpoint { site, base: base.clone(), is_new, tries: sites.copy_tries };
    let at_source = endpoint(&*sites.source, &source_base, is_new);
    // what is served by a locator may be new at the replica, however old it is at the source
    let at_replica = endpoint(&*sites.replica, &replica_base, sites.replica.media.is_some());
    let walk = Walk::new(at_source, at_replica, sites.checked_segments, content, budget, progress);
    let found = walk.play(&urls.urls).await?;
    Ok(Playback { source_base, replica_base, urls, found })
}

/// That no addresses can be made of the settings.
pub fn unusable(error: &url::ParseError) -> Failure {
    Failure::permanent("streaming-url", format!("streaming URLs cannot be built: {error}"))
}

/// Where the site's streaming endpoint serves `locator`; the endpoint must be running.
async fn find_base(site: &Site, locator: &StreamingLocator) -> Result<Url, Failure> {
    site.media()?.verify_streaming_endpoint(Some(locator)).await?;
    site.streaming_base(&locator.path).ok_or_else(|| {
        Failure::permanent("locator-path", format!("locator {} has no usable path", locator.id))
            .with_hint("set streaming_url for this site")
            .at_site(&site.name)
    })
}
