//! JSON Schemas of our messages, for whoever sends or takes them; that they tell the truth is kept by tests.

use serde_json::Value;

/// A kind of message that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSchema {
    /// `media.encoding.finished.v1`, which we take.
    EncodingFinished,
    /// `media.asset.replicated.v1`, which we send.
    AssetReplicated,
    /// `media.asset.replication_failed.v1`, which we send.
    AssetReplicationFailed,
}

impl EventSchema {
    /// All of them. `media.asset.withdrawn.v1` has none: nothing sends it yet.
    pub const ALL: [Self; 3] = [Self::EncodingFinished, Self::AssetReplicated, Self::AssetReplicationFailed];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EncodingFinished => "encoding-finished",
            Self::AssetReplicated => "asset-replicated",
            Self::AssetReplicationFailed => "asset-replication-failed",
        }
    }

    /// The CloudEvents type of the messages.
    #[must_use]
    pub fn event_type(self) -> &'static str {
        match self {
            Self::EncodingFinished => super::finished::FINISHED,
            Self::AssetReplicated => super::replicated::REPLICATED,
            Self::AssetReplicationFailed => super::replication_failed::REPLICATION_FAILED,
        }
    }

    /// The schema: JSON Schema, draft 2020-12, in one piece. It says all of what we send, and of what we take no more than the
    /// reader asks for.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::EncodingFinished => include_str!("schemas/encoding-finished.json"),
            Self::AssetReplicated => include_str!("schemas/asset-replicated.json"),
            Self::AssetReplicationFailed => include_str!("schemas/asset-replication-failed.json"),
        }
    }

    /// The schema as JSON.
    #[must_use]
    pub fn json(self) -> Value {
        // A file of ours, which a test has read.
        serde_json::from_str(self.text()).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests;
