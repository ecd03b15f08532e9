//! Settings of what a running worker answers over HTTP.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Settings of what a running worker answers over HTTP. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Where it listens; nowhere, where that is not set.
    pub listen: Option<SocketAddr>,
}
