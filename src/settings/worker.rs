//! Settings of the queue worker.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of the queue worker. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Jobs at once; also the broker's prefetch.
    pub concurrency: u16,
    /// How long running jobs may go on after SIGTERM, in seconds.
    pub grace_seconds: u64,
    /// How long one delivery may be in our hands, in seconds.
    pub max_hold_seconds: u64,
    /// How long a job may run before the rest of it is put behind the messages that wait, in seconds.
    pub slice_seconds: u64,
    /// Age at which a message that still fails is given up, in seconds.
    pub job_deadline_seconds: u64,
    /// Tries after which a message that still fails is given up; 0: only the deadline counts.
    pub max_attempts: u32,
    /// Messages in a row that fail for the same dependency before only one at a time is tried there; 0: never.
    pub brake_after: u32,
    /// Larger messages are parked, in bytes.
    pub max_message_bytes: usize,
    /// A file that is there only while the worker is ready.
    pub ready_file: Option<PathBuf>,
    /// `text` for people, `json` for machines.
    pub log_format: LogFormat,
    /// What is logged, in tracing's filter syntax.
    pub log_filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
