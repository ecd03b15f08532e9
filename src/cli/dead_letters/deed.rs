//! What is done to a letter, as a value: how its message changes, and the words for it.

use bytes::Bytes;

use crate::events::AuditAction;
use crate::rabbitmq::Message;
use crate::worker::history::{
    ATTEMPT, COMPARED, COPIED_BYTES, COPIED_FILES, COPY_MS, DEADLINE, FIRST_SEEN, REPLAY_RUN, REPLAYS, SET_ASIDE_AT,
    SLICE, WAITS,
};

use super::summary::EDITED_FROM;

/// What an earlier life has left on a letter: without it the next one has all its attempts and its whole time.
const SPENT: [&str; 14] = [
    ATTEMPT,
    SLICE,
    WAITS,
    COMPARED,
    FIRST_SEEN,
    DEADLINE,
    SET_ASIDE_AT,
    "x-replication-class",
    "x-replication-code",
    "x-replication-error",
    "x-replication-hint",
    "x-replication-step",
    "x-replication-site",
    "x-replication-worker",
];

/// What was done for the letter before it was edited. A replay keeps it: it is still the same asset.
const DONE_FOR_IT: [&str; 3] = [COPIED_FILES, COPIED_BYTES, COPY_MS];

/// What is done to each letter.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Sent to the work queue as it was.
    Replay,
    /// Thrown away.
    Discard,
    /// Sent to the work queue with another body, where its own is still `from`.
    Edit {
        /// The body that was edited.
        from: Bytes,
        /// The body after it.
        to: Bytes,
        /// The id of the message that is sent.
        new_id: String,
    },
}

impl Deed {
    /// How it is recorded before it is begun.
    pub fn begun(&self) -> AuditAction {
        match self {
            Self::Replay => AuditAction::Replaying,
            Self::Discard => AuditAction::Discarding,
            Self::Edit { .. } => AuditAction::Editing,
        }
    }

    /// How it is recorded when it is done.
    pub fn done(&self) -> AuditAction {
        match self {
            Self::Replay => AuditAction::Replayed,
            Self::Discard => AuditAction::Discarded,
            Self::Edit { .. } => AuditAction::Edited,
        }
    }

    /// The message to publish, if one is.
    pub fn message(&self, letter: &Message, id: &str, replays: u64, run: &str) -> Option<Message> {
        let mut message = letter.clone();
        for name in SPENT {
            message.headers.remove(name);
        }
        message.headers.set(REPLAY_RUN, run);
        match self {
            Self::Discard => return None,
            Self::Replay => message.headers.set(REPLAYS, i64::try_from(replays + 1).unwrap_or(i64::MAX)),
            Self::Edit { to, new_id, .. } => {
                // What it is now has never been tried.
                message.headers.remove(REPLAYS);
                for name in DONE_FOR_IT {
                    message.headers.remove(name);
                }
                message.headers.set(EDITED_FROM, id);
                message.message_id = Some(new_id.clone());
                message.body = to.clone();
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead() -> Message {
        let mut message = Message { message_id: Some("m1".into()), body: Bytes::from("old"), ..Message::default() };
        SPENT.iter().for_each(|name| message.headers.set(*name, "spent"));
        DONE_FOR_IT.iter().for_each(|name| message.headers.set(*name, 7_i64));
        message.headers.set(REPLAYS, 1_i64);
        message.headers.set("cms-id", "4711");
        message.headers.set("x-replication-source-key", "k");
        message
    }

    fn headers(message: &Message) -> Vec<&str> {
        message.headers.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_replayed_letter_has_a_full_life_again() {
        let message = Deed::Replay.message(&dead(), "m1", 1, "r").unwrap();
        let kept = [COPIED_BYTES, COPIED_FILES, COPY_MS, REPLAY_RUN, REPLAYS, "x-replication-source-key"];
        assert_eq!(headers(&message), [&["cms-id"][..], &kept].concat());
        assert_eq!((message.headers.get_integer(REPLAYS), message.message_id.as_deref()), (Some(2), Some("m1")));
        assert_eq!(message.body, "old");
        assert_eq!(Deed::Discard.message(&dead(), "m1", 1, "r"), None);
    }

    #[test]
    fn an_edited_letter_is_a_new_one_that_names_the_old() {
        let deed = Deed::Edit { from: "old".into(), to: "new".into(), new_id: "m2".into() };
        let message = deed.message(&dead(), "m1", 1, "r").unwrap();
        assert_eq!(headers(&message), ["cms-id", EDITED_FROM, REPLAY_RUN, "x-replication-source-key"]);
        assert_eq!((message.message_id.as_deref(), message.headers.get_text(EDITED_FROM)), (Some("m2"), Some("m1")));
        assert_eq!(message.body, "new");
    }
}
