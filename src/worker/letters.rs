//! Writes the messages that a settlement sends: events, splits, retries, dead letters and parked messages.

use time::OffsetDateTime;
use tracing::Span;

use super::context::Context;
use super::history::{Counts, History, REPLAY_RUN, REPLAYS, SET_ASIDE_AT};
use crate::events::{OutgoingEvent, format_time};
use crate::failure::{Failure, FailureKind};
use crate::rabbitmq::Message;
use crate::telemetry::traces;

/// Error texts in headers end here, in bytes.
const MAX_ERROR_BYTES: usize = 2048;
/// The longest text property, in bytes (AMQP 0-9-1, short strings).
const LONGEST_PROPERTY: usize = 255;

/// What a message that comes again has used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// One of its attempts.
    Attempt,
    /// One slice, or a wait.
    Slice,
    /// It was put off.
    Nothing,
}

/// Where a message goes.
#[derive(Debug)]
pub struct Letter {
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub key: String,
    /// The message.
    pub message: Message,
    /// The span of sending it, where it begins something of its own.
    pub span: Span,
}

/// An event of ours. Headers that belong to the trace of `cause` travel on.
pub fn event(context: &Context, event: &OutgoingEvent, cause: &Message, span: Span) -> Letter {
    let exchange = context.topology.outgoing_exchange().to_owned();
    traces::published_to(&span, &exchange, &event.routing_key, Some(&event.id));
    Letter { exchange, key: event.routing_key.clone(), message: structured(event, cause), span }
}

/// One job of a split request, for the work queue.
pub fn split(context: &Context, event: &OutgoingEvent, cause: &Message, history: &History) -> Letter {
    let mut message = structured(event, cause);
    // The split is not a try of its own, and age counts from the first message.
    history.write(&mut message.headers, Counts::default(), context.deadline());
    Letter {
        exchange: context.topology.retry_exchange(),
        key: context.topology.now_key().to_owned(),
        message,
        span: Span::none(),
    }
}

fn structured(event: &OutgoingEvent, cause: &Message) -> Message {
    let mut message = Message {
        body: event.body.clone().into(),
        message_id: Some(event.id.clone()),
        // What names an asset can be longer than AMQP's property; the event has it whole.
        correlation_id: Some(event.subject.clone()).filter(|subject| subject.len() <= LONGEST_PROPERTY),
        content_type: Some(OutgoingEvent::CONTENT_TYPE.to_owned()),
        kind: Some(event.kind.to_owned()),
        timestamp: Some(OffsetDateTime::now_utc()),
        ..Message::default()
    };
    for (name, value) in event.headers() {
        message.headers.set(name, value);
    }
    for (name, value) in
        [("traceparent", event.traceparent.as_deref()), ("tracestate", cause.headers.get_text("tracestate"))]
    {
        if let Some(value) = value {
            message.headers.set(name, value);
        }
    }
    // What an operator replays is known as such to its end, split or not.
    for name in [REPLAYS, REPLAY_RUN] {
        if let Some(value) = cause.headers.get(name) {
            message.headers.set(name, value.clone());
        }
    }
    message
}

/// The delivered message again, body untouched, for the retry queue of `tier`; `None`: at once.
pub fn again(
    context: &Context,
    original: &Message,
    history: &History,
    failure: &Failure,
    tier: Option<usize>,
    used: Used,
) -> Letter {
    let mut message = described(context, original, history, failure, used);
    message.headers.remove("x-replication-class");
    let key = tier.map_or_else(|| context.topology.now_key().to_owned(), |tier| context.topology.retry_key(tier));
    Letter { exchange: context.topology.retry_exchange(), key, message, span: Span::none() }
}

/// The delivered message, body untouched, for the dead letters of `class`.
pub fn dead(context: &Context, original: &Message, history: &History, failure: &Failure, class: &str) -> Letter {
    let mut message = described(context, original, history, failure, Used::Attempt);
    message.headers.set("x-replication-class", class);
    message.headers.set(SET_ASIDE_AT, format_time(OffsetDateTime::now_utc()));
    Letter {
        exchange: context.topology.dead_exchange(),
        key: context.topology.dead_key(class),
        message,
        span: Span::none(),
    }
}

/// The delivered message, body untouched, for the parked queue.
pub fn parked(context: &Context, original: &Message, history: &History, failure: &Failure) -> Letter {
    let mut message = described(context, original, history, failure, Used::Attempt);
    message.headers.set("x-replication-class", "invalid");
    message.headers.set(SET_ASIDE_AT, format_time(OffsetDateTime::now_utc()));
    Letter {
        exchange: context.topology.dead_exchange(),
        key: context.topology.parked_key(failure.code),
        message,
        span: Span::none(),
    }
}

fn described(context: &Context, original: &Message, history: &History, failure: &Failure, used: Used) -> Message {
    let mut message = Message { headers: original.headers.for_republishing(), ..original.clone() };
    let headers = &mut message.headers;
    let behind = Counts { attempts: history.attempt, slices: history.slice, waits: history.waits };
    let goes_on = Counts { attempts: history.attempt - 1, slices: history.slice.saturating_add(1), ..behind };
    let counts = match (used, failure.kind) {
        (Used::Attempt, _) => behind,
        // The wait is nobody's patience: it is for all, and no reason to ask seldom afterwards.
        (Used::Nothing, _) => goes_on,
        // It got on and only ran out of time: what it has to wait for next is new.
        (Used::Slice, FailureKind::NeedsMoreTime { check_after }) if check_after.is_zero() => {
            Counts { waits: 0, ..goes_on }
        }
        (Used::Slice, _) => Counts { waits: history.waits.saturating_add(1), ..goes_on },
    };
    history.write(headers, counts, context.deadline());
    headers.set("x-replication-code", failure.code);
    headers.set("x-replication-error", shortened(&failure.message));
    headers.set("x-replication-worker", context.name.as_str());
    for (name, value) in [
        ("x-replication-hint", failure.hint.as_deref()),
        ("x-replication-step", failure.step),
        ("x-replication-site", failure.site.as_ref().map(crate::model::SiteName::as_str)),
    ] {
        match value {
            Some(value) => headers.set(name, shortened(value)),
            None => drop(headers.remove(name)),
        }
    }
    message
}

/// A text as long as it is in headers and events.
pub fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
