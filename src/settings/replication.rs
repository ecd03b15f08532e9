//! Settings of the pipeline.

use serde::{Deserialize, Serialize};

use crate::model::{CheckedSegments, ComparedBytes};

/// Settings of the pipeline. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicationSettings {
    /// Whether to publish an asset at the source when it has no streaming locator.
    pub create_source_locator: bool,
    /// How long such a locator is valid, in days.
    pub locator_days: u32,
    /// How far its start lies in the past, against clock skew, in minutes.
    pub locator_start_minutes_ago: u32,
    /// Validity of a shared access signature, in minutes; each request gets its own.
    pub sas_minutes: u32,
    /// A path that answers 200 on both sites while they are healthy, for the CDN's probe.
    pub probe_path: String,
}

/// Settings of the copy engine. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopySettings {
    /// Most requests at once between two storage accounts.
    pub max_requests: usize,
    /// What each route may copy, in MiB per second; 0: as much as it can.
    pub max_mib_per_second: u64,
}

/// Settings of the verification. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifySettings {
    /// Which bytes are compared, beside what listings tell.
    pub bytes: ComparedBytes,
    /// Which segments are asked for at both streaming endpoints.
    pub segments: CheckedSegments,
}
