//! A replication request: what a message asks for, in whichever dialect it came.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{AssetRef, SiteName};

/// What a message asks for. Contract: `events`, "In".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationRequest {
    /// The message's id; split messages derive theirs from it.
    pub id: String,
    /// Where it was encoded; may be absent when the settings leave no choice.
    pub site: Option<SiteName>,
    /// The media service account that sent it, where the dialect names one instead of a site.
    pub account: Option<String>,
    /// What was encoded.
    pub asset: AssetRef,
    /// The state an encoding job is said to have reached, where the message is a job notification.
    pub encoding_job_state: Option<EncodingJobState>,
    /// When encoding finished, if the message says so.
    pub finished_at: Option<OffsetDateTime>,
    /// What the encoder says it produced.
    pub expected: Option<Expected>,
    /// Until when to publish, used only where the source has no locator yet.
    pub valid_until: Option<OffsetDateTime>,
    /// Only this replica site.
    pub replica: Option<SiteName>,
    /// Passed through unchanged to every event about this asset.
    pub correlation: BTreeMap<String, String>,
    /// The trace that it belongs to (W3C Trace Context), carried through.
    pub traceparent: Option<String>,
}

/// The final states of an encoding job that a notification can report (contract ams-v2, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingJobState {
    /// All outputs are there.
    Finished,
    /// It failed; its tasks hold the reasons.
    Error,
    /// Somebody stopped it.
    Canceled,
}

/// What the encoder says it produced; the asset is not complete before it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Number of files.
    pub files: Option<u64>,
    /// Sum of their sizes in bytes.
    pub bytes: Option<u64>,
}
