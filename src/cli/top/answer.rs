//! What `/jobs` answers, as far as it is shown. Members that are missing are taken as nothing, so that workers of another
//! version can be looked at.

use serde::Deserialize;
use time::OffsetDateTime;

/// The whole answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    pub worker: Worker,
    pub in_hand: u64,
    pub jobs: Vec<Job>,
}

/// The worker itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Worker {
    pub name: String,
    pub version: String,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    pub readiness: String,
    pub reason: Option<String>,
    pub concurrency: u64,
    pub down: Vec<Down>,
}

/// Something that jobs wait for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Down {
    pub what: String,
}

/// A delivery in hand.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    pub number: u64,
    pub asset: Option<String>,
    pub source: Option<String>,
    pub replica: Option<String>,
    pub attempt: u64,
    pub slice: u64,
    pub step: String,
    pub seconds_in_hand: f64,
    pub files_done: u64,
    pub files_total: u64,
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub bytes_per_second: u64,
}
