//! The unit of work: one asset to one replica site.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Expected, SiteName};

/// One asset to one replica site. Never bare "job": in media services a job is the encoding job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationJob {
    /// The id of the request that asked for it.
    pub request_id: String,
    /// The asset's id at the source.
    pub asset_id: String,
    /// Where it was encoded.
    pub source: SiteName,
    /// Where it is to be playable too.
    pub replica: SiteName,
    /// When encoding finished, if the message said so.
    pub finished_at: Option<OffsetDateTime>,
    /// When the message first reached a worker.
    pub received_at: OffsetDateTime,
    /// What the encoder says it produced.
    pub expected: Option<Expected>,
    /// Until when to publish, used only where the source has no locator yet.
    pub valid_until: Option<OffsetDateTime>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Passed through unchanged to every event about this asset.
    pub correlation: BTreeMap<String, String>,
    /// The trace that it belongs to (W3C Trace Context), carried through.
    pub traceparent: Option<String>,
}
