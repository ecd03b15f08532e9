//! Settings of every HTTP call.

use serde::{Deserialize, Serialize};

/// Settings of every HTTP call. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Time to connect, in seconds.
    pub connect_timeout_seconds: u64,
    /// Time for one control-plane call or manifest, answer included, in seconds.
    pub timeout_seconds: u64,
    /// Time for one storage call; a synchronous copy is silent while it runs, in seconds.
    pub storage_timeout_seconds: u64,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Tries of one call in process before the message goes to a retry queue.
    pub tries: usize,
}
