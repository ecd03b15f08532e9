//! Proves that both sites play the same: endpoints running, manifests of every protocol fetched and compared.

use std::time::Duration;

use futures::future::try_join;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use url::Url;

use super::manifest;
use super::sites::{Site, Sites};
use super::source::SourceAsset;
use crate::failure::{Failure, Part};
use crate::http::{Method, Request, retry_after};
use crate::model::{ManifestProof, Protocol, StreamingLocator, StreamingUrls};

/// How soon to ask again for a manifest whose locator is not visible yet: locators need up to 30-40 seconds
/// (contract ams-v2, section 4.4).
const LOCATOR_CHECK: Duration = Duration::from_secs(5);

/// A locator is new for so long; ours and those of the old tools begin some minutes before they are made.
const YOUNG: time::Duration = time::Duration::minutes(20);

const HINT: &str =
    "open the URL in a player: if the source itself does not play, its files or its streaming endpoint are at fault";

/// Evidence that both sites play the same.
#[derive(Debug)]
pub struct Playback {
    /// Scheme, host, port and base path of the source's streaming endpoint.
    pub source_base: Url,
    /// The same of the replica's.
    pub replica_base: Url,
    /// All addresses.
    pub urls: StreamingUrls,
    /// Every manifest that was fetched.
    pub manifests: Vec<ManifestProof>,
}

/// Does: checks that both streaming endpoints run, then fetches and compares both manifests of every protocol.
/// Safe to repeat because: it only reads.
/// Fails as: `Permanent` for a stopped endpoint, an expired locator or different streams, `NeedsMoreTime` while a
/// new locator is not visible, `Transient` for what the endpoints answer in trouble.
pub async fn verify_playback(
    asset: &SourceAsset,
    locator: &StreamingLocator,
    twin: &StreamingLocator,
    sites: &Sites,
) -> Result<Playback, Failure> {
    let (source, replica) = (&sites.source, &sites.replica);
    let (source_base, replica_base) = try_join(find_base(source, locator), find_base(replica, twin)).await?;
    let urls = StreamingUrls::build(&source_base, &replica_base, locator.id, &asset.files.manifest)
        .map_err(|error| Failure::permanent("streaming-url", format!("streaming URLs cannot be built: {error}")))?;
    let young = YOUNG + time::Duration::minutes(i64::from(sites.settings.locator_start_minutes_ago));
    let is_new = locator.start.is_none_or(|start| OffsetDateTime::now_utc() - start < young);
    let mut manifests = Vec::new();
    for url in &urls.urls {
        let from_source = fetch(source, url.protocol, &url.source, is_new);
        let from_replica = fetch(replica, url.protocol, &url.replica, true);
        let (ours, theirs) = try_join(from_source, from_replica).await?;
        compare(url.protocol, &ours, &theirs, &source_base).map_err(|failure| failure.at_site(&replica.name))?;
        manifests.extend([ours.proof, theirs.proof]);
    }
    Ok(Playback { source_base, replica_base, urls, manifests })
}

/// Where the site's streaming endpoint serves `locator`; the endpoint must be running.
async fn find_base(site: &Site, locator: &StreamingLocator) -> Result<Url, Failure> {
    site.media.verify_streaming_endpoint(Some(locator)).await?;
    site.streaming_base(&locator.path).ok_or_else(|| {
        Failure::permanent("locator-path", format!("locator {} has no usable path", locator.id))
            .with_hint("set streaming_url for this site")
            .at_site(&site.name)
    })
}

struct Fetched {
    summary: Vec<String>,
    text: String,
    proof: ManifestProof,
}

/// `is_new`: the locator may not be served yet.
async fn fetch(site: &Site, protocol: Protocol, url: &Url, is_new: bool) -> Result<Fetched, Failure> {
    let answer = site
        .player
        .send(Request::new(Method::GET, url.clone()))
        .await
        .map_err(|error| error.into_failure(&site.name).of_part(Part::Streaming))?;
    let name = protocol.name();
    let failure = match answer.status {
        200 => None,
        status @ (401 | 403 | 404) if is_new => {
            let message = format!("{name} manifest answers {status}, the locator may not be visible yet");
            Some(Failure::needs_more_time("locator-not-visible", message, LOCATOR_CHECK).with_hint(HINT))
        }
        410 => Some(
            Failure::permanent("locator-expired", format!("{name} manifest answers 410: the locator has expired"))
                .with_hint("publish the asset again at the source, then replay"),
        ),
        status @ (401 | 403 | 404 | 408 | 429 | 500..=599) => {
            let wait = retry_after(&answer);
            let message = format!("{name} manifest answers {status}");
            let failure = Failure::transient("manifest-unavailable", message).with_retry_after(wait).with_hint(HINT);
            // The others are about this locator, not about the endpoint.
            let is_down = matches!(status, 408 | 429 | 500..);
            Some(if is_down { failure.of_part(Part::Streaming) } else { failure })
        }
        status => {
            Some(Failure::permanent("manifest-refused", format!("{name} manifest answers {status}")).with_hint(
                "the streaming endpoint must answer 200 without redirects: check streaming_url of this site",
            ))
        }
    };
    if let Some(failure) = failure {
        return Err(failure.at_site(&site.name));
    }
    let summary = manifest::summarise(protocol, &answer.body).map_err(|problem| {
        Failure::transient("manifest-unreadable", format!("{name} manifest {problem}")).at_site(&site.name)
    })?;
    let sha256 = Sha256::digest(&answer.body).iter().map(|byte| format!("{byte:02x}")).collect();
    let proof = ManifestProof { site: site.name.clone(), protocol, status: answer.status, sha256 };
    Ok(Fetched { summary, text: String::from_utf8_lossy(&answer.body).into_owned(), proof })
}

/// Both must name the same streams, and the replica's must not send players back to the source.
fn compare(protocol: Protocol, source: &Fetched, replica: &Fetched, source_base: &Url) -> Result<(), Failure> {
    let name = protocol.name();
    if source.summary != replica.summary {
        let differs = source.summary.iter().zip(&replica.summary).find(|(ours, theirs)| ours != theirs);
        let example = differs.map_or_else(
            || format!("{} facts against {}", source.summary.len(), replica.summary.len()),
            |(ours, theirs)| format!("'{ours}' against '{theirs}'"),
        );
        return Err(Failure::transient(
            "manifests-differ",
            format!("{name} manifests of both sites name different streams: {example}"),
        ));
    }
    let authority = source_base.authority();
    if replica.text.contains(&format!("//{authority}/")) {
        return Err(Failure::permanent(
            "manifest-points-at-source",
            format!("the replica's {name} manifest names the source's host {authority}"),
        )
        .with_hint("players would go back to the source: manifests must use relative addresses"));
    }
    Ok(())
}
