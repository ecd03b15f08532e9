//! The record that every action of an operator on dead letters leaves in their log.

use serde::{Deserialize, Serialize};

/// The media type of a record's body.
pub const AUDIT_CONTENT_TYPE: &str = "application/json; charset=utf-8";
const KEY: &str = "audit.";

/// What was done. Each action is recorded before it begins and when it is done: what lies between is unsure where the tool
/// was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditAction {
    /// Is about to be sent to the work queue again.
    Replaying,
    /// Was sent to the work queue again.
    Replayed,
    /// Is about to be thrown away.
    Discarding,
    /// Was thrown away.
    Discarded,
    /// Is about to be sent to the work queue with another body.
    Editing,
    /// Was sent to the work queue with another body and another id.
    Edited,
}

impl AuditAction {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaying => "replaying",
            Self::Replayed => "replayed",
            Self::Discarding => "discarding",
            Self::Discarded => "discarded",
            Self::Editing => "editing",
            Self::Edited => "edited",
        }
    }

    /// What it is when it is done.
    #[must_use]
    pub fn done(self) -> Self {
        match self {
            Self::Replaying | Self::Replayed => Self::Replayed,
            Self::Discarding | Self::Discarded => Self::Discarded,
            Self::Editing | Self::Edited => Self::Edited,
        }
    }

    /// Whether the letter has left its queue.
    #[must_use]
    pub fn is_done(self) -> bool {
        matches!(self, Self::Replayed | Self::Discarded | Self::Edited)
    }
}

/// One record, about up to some dozens of letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// What was done.
    pub action: AuditAction,
    /// The run it belongs to: one call of the tool.
    pub run: String,
    /// Who did it, as far as the machine knows.
    pub who: String,
    /// When, as RFC 3339.
    pub at: String,
    /// Where the letters lay: `dead` or `parked`.
    pub queue: String,
    /// The letters.
    pub ids: Vec<String>,
    /// How they were chosen, in the words of the command line.
    pub selection: String,
    /// Why, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The id that an edited letter has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_id: Option<String>,
}

impl AuditRecord {
    /// The routing key: one that no queue but the log is bound to.
    #[must_use]
    pub fn routing_key(&self) -> String {
        format!("{KEY}{}", self.action.name())
    }

    /// Whether a message of the log is a record, by its routing key.
    #[must_use]
    pub fn is_one(routing_key: &str) -> bool {
        routing_key.starts_with(KEY)
    }

    /// Reads a record; `None` for what is none of ours.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // Fails only for maps whose keys are no text, and there is none.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_wire_and_anything_else_is_none() {
        let record = AuditRecord {
            action: AuditAction::Discarded,
            run: "r1".into(),
            who: "ada@ops".into(),
            at: "2026-11-20T10:15:30.123Z".into(),
            queue: "dead".into(),
            ids: vec!["a".into(), "b".into()],
            selection: "--code x".into(),
            reason: Some("test data".into()),
            new_id: None,
        };
        assert_eq!(record.routing_key(), "audit.discarded");
        assert!(AuditRecord::is_one("audit.x") && !AuditRecord::is_one("dead.permanent"));
        assert_eq!(AuditRecord::parse(&record.encode()), Some(record));
        assert_eq!((AuditRecord::parse(b"{}"), AuditRecord::parse(b"\xff")), (None, None));
    }
}
