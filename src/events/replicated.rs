//! Writes `media.asset.replicated.v1`: all that a CDN configurator needs, so that it looks nothing up elsewhere.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::finished::location_data;
use super::message::OutgoingEvent;
use super::{derived_id, times};
use crate::model::{ManifestProof, Protection, PublishedSite, Replicated, StreamingUrl, Timing, Verification};

/// The type of the event; the major version is its last word.
pub const REPLICATED: &str = "media.asset.replicated.v1";
/// How often a CDN may probe, in seconds; the smallest interval that Azure Front Door and Traffic Manager share is 10.
const PROBE_INTERVAL_SECONDS: u32 = 10;
/// How long a cache may keep a manifest, in seconds.
const MANIFEST_MAX_AGE_SECONDS: u32 = 5;

/// Writes the event. Its id is derived from what was replicated, so that a repeated event is recognised.
/// `probe_path` is the settings' stable path; `now` the time of announcement. Contract: `events`, "Out".
#[must_use]
pub fn encode_replicated(replicated: &Replicated, probe_path: &str, now: OffsetDateTime) -> OutgoingEvent {
    let (source, replica) = (&replicated.source, &replicated.replica);
    let locator = replicated.locator_id.map(|locator| locator.to_string()).unwrap_or_default();
    let facts =
        [&replicated.asset_id, source.name.as_str(), replica.name.as_str(), &locator, &replicated.content.digest];
    let id = derived_id(&facts).to_string();
    let event_source = format!("/stream-replicator/{}/{}", source.name, replica.name);
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": event_source,
        "type": REPLICATED,
        "subject": replicated.asset_id,
        "time": times::format(now),
        "datacontenttype": "application/json",
    });
    if let Some(traceparent) = &replicated.traceparent {
        event["traceparent"] = traceparent.as_str().into();
    }
    event["data"] = data(replicated, probe_path, now);
    OutgoingEvent {
        id,
        source: event_source,
        kind: REPLICATED,
        subject: replicated.asset_id.clone(),
        routing_key: format!("media.asset.replicated.{}.{}", source.name, replica.name),
        traceparent: replicated.traceparent.clone(),
        body: event.to_string().into_bytes(),
    }
}

fn data(replicated: &Replicated, probe_path: &str, now: OffsetDateTime) -> Value {
    let content = &replicated.content;
    let copy = &replicated.copy;
    json!({
        "asset": asset(replicated),
        "locatorId": replicated.locator_id.map(|locator| locator.to_string()),
        "relativePath": replicated.urls.urls.first().map(|url| &url.path),
        "pathPrefix": replicated.urls.path_prefix,
        "sites": [site(&replicated.source, "source", 1), site(&replicated.replica, "replica", 2)],
        "urls": replicated.urls.urls.iter().map(url).collect::<Vec<_>>(),
        "probe": {
            "path": probe_path, "method": "GET", "expectedStatus": 200, "intervalSeconds": PROBE_INTERVAL_SECONDS,
        },
        "cache": { "segmentsImmutable": true, "manifestMaxAgeSeconds": MANIFEST_MAX_AGE_SECONDS, "purge": [] },
        "protection": protection(&replicated.protection),
        "content": {
            "files": content.files, "bytes": content.bytes, "digest": content.digest,
            "generation": content.generation.map(times::format),
        },
        "verification": verification(&replicated.verification, replicated.timing.verified_at),
        "validity": {
            "from": replicated.valid_from.map(times::format), "until": replicated.valid_until.map(times::format),
        },
        "copy": {
            "copiedFiles": copy.copied_files, "skippedFiles": copy.skipped_files, "copiedBytes": copy.copied_bytes,
            "seconds": rounded_seconds(copy.duration.as_secs_f64()),
        },
        "timing": timing(&replicated.timing, now),
        "attempts": replicated.attempts,
        "correlation": replicated.correlation,
    })
}

fn asset(replicated: &Replicated) -> Value {
    let (id, name, replica_id) = (&replicated.asset_id, &replicated.asset_name, &replicated.replica_asset_id);
    let mut asset = json!({ "id": id, "name": name, "replicaId": replica_id });
    if let Some(location) = &replicated.location {
        asset["location"] = location_data(location);
    }
    asset
}

fn protection(protection: &Protection) -> Value {
    let kind = if protection.key_ids.is_empty() { "clear" } else { "encrypted" };
    json!({ "kind": kind, "keyIds": protection.key_ids, "licenseHosts": protection.license_hosts })
}

fn verification(verification: &Verification, at: OffsetDateTime) -> Value {
    let proof = |proof: &ManifestProof| {
        json!({
            "site": proof.site.as_str(), "protocol": proof.protocol.name(), "status": proof.status, "sha256": proof.sha256,
        })
    };
    json!({
        "level": verification.level(),
        "bytes": verification.bytes.name(),
        "segments": verification.segments.name(),
        "checked": verification.checked,
        "sameCors": verification.same_cors,
        "sameStorageCors": verification.same_storage_cors,
        "at": times::format(at),
        "manifests": verification.manifests.iter().map(proof).collect::<Vec<_>>(),
    })
}

fn site(site: &PublishedSite, role: &str, priority: u32) -> Value {
    let host = site.base_url.host_str().unwrap_or_default();
    let port = site.base_url.port_or_known_default();
    // A Host header names the port only where it is not the scheme's own.
    let host_header = site.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    json!({
        "name": site.name.as_str(), "role": role, "priority": priority, "kind": site.kind, "region": site.region,
        "scheme": site.base_url.scheme(), "host": host, "port": port,
        "basePath": site.base_url.path().trim_end_matches('/'), "hostHeader": host_header,
    })
}

fn url(url: &StreamingUrl) -> Value {
    json!({
        "protocol": url.protocol.name(), "path": url.path, "source": url.source.as_str(), "replica": url.replica.as_str(),
    })
}

fn timing(timing: &Timing, now: OffsetDateTime) -> Value {
    let lag = timing.finished_at.map(|finished| rounded_seconds((now - finished).as_seconds_f64()));
    json!({
        "finishedAt": timing.finished_at.map(times::format),
        "receivedAt": times::format(timing.received_at),
        "copiedAt": times::format(timing.copied_at),
        "publishedAt": times::format(timing.published_at),
        "verifiedAt": times::format(timing.verified_at),
        "lagSeconds": lag,
    })
}

/// Seconds with three decimals, which is all that the times themselves have.
fn rounded_seconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
pub(super) mod tests;
