//! What is to be said of one letter without its body.

use std::collections::BTreeMap;

use serde::Serialize;
use time::OffsetDateTime;

use crate::events::{Incoming, find_subject, format_time, parse_time};
use crate::rabbitmq::{Letter, Message};
use crate::worker::history::{ATTEMPT, FIRST_SEEN, REPLAY_RUN, REPLAYS, SET_ASIDE_AT};

/// The header that names the letter which an edited one was made from.
pub const EDITED_FROM: &str = "x-replication-edited-from";
/// The class of what the broker itself gave up.
const BROKER: &str = "broker";
/// The routing key of that.
pub const BROKER_KEY: &str = "dead.broker";

/// The two queues of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Shelf {
    /// Messages that could not be carried out.
    Dead,
    /// Messages that are unusable.
    Parked,
}

impl Shelf {
    /// Its name in arguments, records and routing keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Parked => "parked",
        }
    }

    /// Where a letter with that routing key lies; `None` for what is no letter.
    pub fn of(routing_key: &str) -> Option<Self> {
        [Self::Dead, Self::Parked].into_iter().find(|shelf| {
            routing_key.strip_prefix(shelf.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// A letter without its body. What the message does not say is absent. In JSON the names are stable.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// AMQP's message id, else the SHA-256 of the body.
    pub id: String,
    /// Where it lies.
    pub queue: Shelf,
    /// When it was set aside, as RFC 3339; where nothing says so, when it was first seen or sent, if that is known.
    #[serde(serialize_with = "as_text")]
    pub at: Option<OffsetDateTime>,
    /// `permanent`, `exhausted`, `expired`, `broker`, `invalid`.
    pub class: Option<String>,
    /// The stable code of the failure; the broker gives none.
    pub code: Option<String>,
    /// The step of the pipeline it failed in.
    pub step: Option<String>,
    /// The site it failed at, else the one it was encoded at.
    pub site: Option<String>,
    /// The asset.
    pub asset: Option<String>,
    /// Tries before it was given up.
    pub attempts: u64,
    /// The error's text.
    pub error: Option<String>,
    /// What an operator can do.
    pub hint: Option<String>,
    /// When a worker first saw it.
    pub first_seen: Option<String>,
    /// How often it was replayed.
    pub replays: u64,
    /// The run that replayed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_run: Option<String>,
    /// The letter that this one was made from by editing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_from: Option<String>,
    /// Size of the body in bytes.
    pub bytes: usize,
}

impl Summary {
    /// Reads it; `None` for what is no letter, such as an audit record.
    pub fn read(letter: &Letter) -> Option<Self> {
        let queue = Shelf::of(&letter.routing_key)?;
        let message = &letter.message;
        let subject = find_subject(&incoming(message));
        let text = |name: &str| message.headers.get_text(name).map(str::to_owned);
        // What an earlier try has left on it says nothing about why the broker gave it up.
        let by_broker = letter.routing_key == BROKER_KEY;
        let unless_by_broker = |name: &str| if by_broker { None } else { text(name) };
        let class = if by_broker { Some(BROKER.to_owned()) } else { text("x-replication-class").or(class(letter)) };
        Some(Self {
            id: subject.id,
            queue,
            at: set_aside_at(letter, by_broker),
            class,
            code: unless_by_broker("x-replication-code"),
            step: unless_by_broker("x-replication-step"),
            site: unless_by_broker("x-replication-site").or(subject.source),
            asset: subject.asset.or_else(|| message.correlation_id.clone()),
            attempts: number(message, ATTEMPT),
            error: if by_broker { Some(broker_error(letter)) } else { text("x-replication-error") },
            hint: if by_broker { Some(BROKER_HINT.to_owned()) } else { text("x-replication-hint") },
            first_seen: text(FIRST_SEEN),
            replays: number(message, REPLAYS),
            replay_run: text(REPLAY_RUN),
            edited_from: text(EDITED_FROM),
            bytes: message.body.len(),
        })
    }

    /// Whether an argument names this letter: its id, or a hash without the word before it.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.id.strip_prefix("sha256-") == Some(name)
    }
}

const BROKER_HINT: &str = "its workers ended or lost the connection again and again before they could settle it: look for \
    crashes in their logs, and replay it with few others when the cause is gone";

fn broker_error(letter: &Letter) -> String {
    match &letter.death {
        Some(death) if death.reason == "delivery_limit" => {
            format!("the broker gave it up: delivered too often from queue {}", death.queue)
        }
        Some(death) => format!("the broker gave it up: {} in queue {}", death.reason, death.queue),
        None => "the broker gave it up, most likely as it was delivered too often".to_owned(),
    }
}

/// The routing key's own word, where a header is missing.
fn class(letter: &Letter) -> Option<String> {
    let word = letter.routing_key.strip_prefix("dead.")?;
    Some(word.to_owned())
}

/// The same for a letter of the queue as for that of the log, where the broker's own time is missing: what is shown is
/// what is moved.
fn set_aside_at(letter: &Letter, by_broker: bool) -> Option<OffsetDateTime> {
    own_time(letter, by_broker).or_else(|| time(letter, FIRST_SEEN)).or(letter.message.timestamp)
}

fn own_time(letter: &Letter, by_broker: bool) -> Option<OffsetDateTime> {
    if by_broker { None } else { time(letter, SET_ASIDE_AT) }
}

fn time(letter: &Letter, header: &str) -> Option<OffsetDateTime> {
    letter.message.headers.get_text(header).and_then(parse_time)
}

/// Whether a letter of the queue tells, or the broker does, that it was set aside after that.
pub fn is_set_aside_after(letter: &Letter, time: OffsetDateTime) -> bool {
    let death = || letter.death.as_ref().and_then(|death| death.at);
    own_time(letter, letter.routing_key == BROKER_KEY).or_else(death).is_some_and(|at| at > time)
}

fn number(message: &Message, name: &str) -> u64 {
    let headers = &message.headers;
    let number = headers.get_integer(name).or_else(|| headers.get_text(name)?.trim().parse().ok());
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// A message as the room of wire formats takes it.
fn incoming(message: &Message) -> Incoming<'_> {
    let headers = message.headers.iter().filter_map(|(name, _)| Some((name, message.headers.get_text(name)?)));
    Incoming {
        body: &message.body,
        content_type: message.content_type.as_deref(),
        message_id: message.message_id.as_deref(),
        headers: headers.collect::<BTreeMap<_, _>>(),
    }
}

#[expect(clippy::ref_option, reason = "serde hands out a reference to the field")]
fn as_text<S: serde::Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(format_time).serialize(serializer)
}
