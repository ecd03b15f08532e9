//! The result of a job: a replica that was verified, with everything that the event about it says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;
use url::Url;

use super::{CheckedSegments, Compared, ComparedBytes, Location, LocatorId, Protocol, SiteName, StreamingUrls};

/// A verified replica. Contract: `events`, `media.asset.replicated.v1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicated {
    /// The asset's id at the source.
    pub asset_id: String,
    /// Its name, equal on both sites.
    pub asset_name: String,
    /// The asset's id at the replica.
    pub replica_asset_id: String,
    /// Where its files are, of packaged streams that are served straight from storage.
    pub location: Option<Location>,
    /// The streaming locator's id, equal on both sites; none of packaged streams.
    pub locator_id: Option<LocatorId>,
    /// The site it was encoded at.
    pub source: PublishedSite,
    /// The site it is now playable at too.
    pub replica: PublishedSite,
    /// The addresses of both.
    pub urls: StreamingUrls,
    /// What was replicated.
    pub content: Content,
    /// How its streams are protected.
    pub protection: Protection,
    /// How it was proven.
    pub verification: Verification,
    /// From when the addresses answer; `None`: since the locator was made.
    pub valid_from: Option<OffsetDateTime>,
    /// Until when the addresses answer; `None`: as long as the files are there.
    pub valid_until: Option<OffsetDateTime>,
    /// How much of it had to be copied.
    pub copy: CopyCount,
    /// When each stage was reached.
    pub timing: Timing,
    /// Which try succeeded, from 1.
    pub attempts: u32,
    /// The request's correlation map, unchanged.
    pub correlation: BTreeMap<String, String>,
    /// The trace that it belongs to (W3C Trace Context), carried through.
    pub traceparent: Option<String>,
}

/// A site as a CDN configurator needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSite {
    /// Its name in our settings.
    pub name: SiteName,
    /// The kind of media service, as the settings name it (`ams-v2`).
    pub kind: &'static str,
    /// The region, when the settings give one.
    pub region: Option<String>,
    /// Scheme, host, port and base path of its streaming endpoint.
    pub base_url: Url,
}

/// What was replicated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Number of files.
    pub files: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
    /// SHA-256, in hex, of the sorted (name, size, MD5) lines.
    pub digest: String,
    /// The newest Last-Modified at the source; orders two versions of one asset.
    pub generation: Option<OffsetDateTime>,
}

/// How streams are protected: never a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// Ids of keys, or where there are none, of key systems.
    pub key_ids: BTreeSet<String>,
    /// Hosts that keys come from, which are not replicated.
    pub license_hosts: BTreeSet<String>,
}

/// How a replica was proven to be one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// The manifests that players begin with, as both sites served them.
    pub manifests: Vec<ManifestProof>,
    /// Which segments both sites were asked for.
    pub segments: CheckedSegments,
    /// How many playlists and segments both sites have answered with, besides those manifests.
    pub checked: u64,
    /// Which bytes were compared with the source's.
    pub bytes: ComparedBytes,
    /// Both endpoints tell browsers the same (CORS headers); `None`: not asked.
    pub same_cors: Option<bool>,
    /// Both storage accounts have the same CORS rules; `None`: not asked.
    pub same_storage_cors: Option<bool>,
}

impl Verification {
    /// The level that was reached. Contract: `events`, `verification.level`.
    #[must_use]
    pub fn level(&self) -> &'static str {
        if self.checked > 0 { "playback" } else { "manifest" }
    }

    /// With what was found about rules for browsers: of the endpoints, of the storage accounts.
    #[must_use]
    pub fn with_cors(self, same_cors: Option<bool>, same_storage_cors: Option<bool>) -> Self {
        Self { same_cors, same_storage_cors, ..self }
    }
}

/// One manifest that a site's streaming endpoint served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestProof {
    /// The site that served it.
    pub site: SiteName,
    /// Of which protocol.
    pub protocol: Protocol,
    /// The HTTP status.
    pub status: u16,
    /// SHA-256 of the body, in hex.
    pub sha256: String,
}

/// How much had to be copied: in one run of a job, or in all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyCount {
    /// Files copied; one that was copied twice, as it changed meanwhile, counts twice.
    pub copied_files: u64,
    /// Files that were there before, complete and identical.
    pub skipped_files: u64,
    /// Bytes copied.
    pub copied_bytes: u64,
    /// How long that took, without the pauses between runs.
    pub duration: Duration,
    /// How far its bytes are compared, where they are.
    pub compared: Option<Compared>,
    /// How far its segments are checked, where all of them are.
    pub checked: Option<Compared>,
}

impl CopyCount {
    /// Together with what `earlier` runs of the same job have copied, which this one found there.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        Self {
            copied_files: self.copied_files.saturating_add(earlier.copied_files),
            skipped_files: self.skipped_files.saturating_sub(earlier.copied_files),
            copied_bytes: self.copied_bytes.saturating_add(earlier.copied_bytes),
            duration: self.duration.saturating_add(earlier.duration),
            compared: self.compared,
            checked: self.checked,
        }
    }
}

/// When each stage was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Encoding finished, as the encoder said.
    pub finished_at: Option<OffsetDateTime>,
    /// The message first reached a worker.
    pub received_at: OffsetDateTime,
    /// All files were copied and verified.
    pub copied_at: OffsetDateTime,
    /// The replica's locator was there.
    pub published_at: OffsetDateTime,
    /// Both sites answered with equal manifests.
    pub verified_at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_has_copied_was_not_there_before() {
        let count = |copied_files, skipped_files, copied_bytes, seconds| CopyCount {
            copied_files,
            skipped_files,
            copied_bytes,
            duration: Duration::from_secs(seconds),
            compared: None,
            checked: None,
        };
        assert_eq!(count(2, 8, 20, 3).after(count(5, 0, 50, 4)), count(7, 3, 70, 7));
        // made up, or copied twice
        assert_eq!(count(1, 2, 10, 1).after(count(9, 0, 90, 0)), count(10, 0, 100, 1));
    }
}
