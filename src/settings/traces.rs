//! Settings of the export of traces.

use serde::{Deserialize, Serialize};
use url::Url;

/// Settings of the export of traces. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesSettings {
    /// The collector's address for traces; none: nothing is exported.
    #[serde(default)]
    pub otlp_url: Option<Url>,
    /// Which part of the traces that begin here is exported, 0 to 1.
    pub sample_ratio: f64,
}
