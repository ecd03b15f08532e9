//! `dead-letters show`: everything about one letter, and what operators did about it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use console::Style;
use serde_json::{Value, json};

use super::Failed;
use super::list;
use super::register::{Entry, Register};
use super::summary::Shelf;
use super::table::clean;
use crate::cli::Exit;
use crate::events::format_time;
use crate::rabbitmq::{DeadLog, HeaderValue, Letter, RabbitmqError};
use crate::settings::RabbitmqSettings;

/// Which letter.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The letter's id, or the beginning of it
    id: String,
    /// Which queue
    #[arg(long, value_enum, default_value_t = Shelf::Dead)]
    queue: Shelf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Shows one letter from the log.
pub async fn show(settings: &RabbitmqSettings, arguments: ShowArguments) -> Result<Exit, Failed> {
    let register = Register::load(settings).await?;
    let Some(entry) = find(&register, arguments.queue, &arguments.id)? else {
        eprintln!("the log has no {} letter {}", arguments.queue.name(), clean(&arguments.id));
        return Ok(Exit::Nothing);
    };
    let Some(letter) = read(settings, entry.offset).await? else {
        return Err(Failed::Other(format!("letter {} has just left the log; run this again", entry.summary.id)));
    };
    if arguments.json {
        let mut document = to_json(entry, &letter);
        document["history"] = entry.audits.iter().map(|audit| json!(**audit)).collect();
        say!("{document:#}");
    } else {
        print(entry, &letter);
    }
    Ok(Exit::Done)
}

/// The one letter that an argument means; `None` where there is none.
pub fn find<'a>(register: &'a Register, shelf: Shelf, id: &str) -> Result<Option<&'a Entry>, Failed> {
    let called = register.called(shelf, id);
    if called.len() > 1 {
        return Err(Failed::Arguments(format!("{} fits {} letters: give more of the id", clean(id), called.len())));
    }
    Ok(called.first().copied())
}

/// Reads one letter of the log, body and all.
pub async fn read(settings: &RabbitmqSettings, offset: u64) -> Result<Option<Letter>, RabbitmqError> {
    let mut log = DeadLog::read(settings, offset).await?;
    let mut found = None;
    while let Some(entry) = log.next().await? {
        if entry.offset >= offset {
            found = (entry.offset == offset).then_some(entry.letter);
            break;
        }
    }
    log.close().await;
    Ok(found)
}

/// A whole letter as JSON: what a list tells, and properties, headers and body.
pub fn to_json(entry: &Entry, letter: &Letter) -> Value {
    let message = &letter.message;
    let mut document = list::to_json(entry);
    document["routingKey"] = letter.routing_key.as_str().into();
    document["properties"] = json!({
        "messageId": message.message_id, "correlationId": message.correlation_id, "contentType": message.content_type,
        "contentEncoding": message.content_encoding, "type": message.kind, "timestamp": message.timestamp.map(format_time),
    });
    document["headers"] = message.headers.iter().map(|(name, value)| (name.to_owned(), header(value))).collect();
    if let Some(death) = &letter.death {
        document["death"] = json!({ "queue": death.queue, "reason": death.reason, "at": death.at.map(format_time) });
    }
    document["bodyBase64"] = BASE64_STANDARD.encode(&message.body).into();
    document["bodyText"] = std::str::from_utf8(&message.body).ok().into();
    document
}

fn header(value: &HeaderValue) -> Value {
    match value {
        HeaderValue::Text(text) => text.as_str().into(),
        HeaderValue::Integer(number) => (*number).into(),
        HeaderValue::Boolean(truth) => (*truth).into(),
        HeaderValue::Real(number) => (*number).into(),
        HeaderValue::Timestamp(seconds) => (*seconds).into(),
        HeaderValue::Other => Value::Null,
    }
}

fn print(entry: &Entry, letter: &Letter) {
    let summary = &entry.summary;
    let name = Style::new().bold();
    let field = |what: &str, text: Option<&str>| {
        if let Some(text) = text {
            say!("{}  {}", name.apply_to(format!("{what:<12}")), clean(text));
        }
    };
    field("id", Some(&summary.id));
    field("state", Some(entry.state().name()));
    field("set aside", summary.at.map(format_time).as_deref());
    field("first seen", summary.first_seen.as_deref());
    field("class", summary.class.as_deref());
    field("code", summary.code.as_deref());
    field("error", summary.error.as_deref());
    field("hint", summary.hint.as_deref());
    field("step", summary.step.as_deref());
    field("site", summary.site.as_deref());
    field("asset", summary.asset.as_deref());
    field("tries", Some(&summary.attempts.to_string()));
    field("replays", (summary.replays > 0).then(|| summary.replays.to_string()).as_deref());
    field("edited from", summary.edited_from.as_deref());
    field("key", Some(&letter.routing_key));
    for (header, value) in letter.message.headers.iter() {
        let text = match self::header(value) {
            Value::Null => "(a list, a table or bytes)".to_owned(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        field("header", Some(&format!("{header}: {text}")));
    }
    for audit in &entry.audits {
        let reason = audit.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let new_id = audit.new_id.as_ref().map(|id| format!(", now {id}")).unwrap_or_default();
        let text = format!("{} {} by {} (run {}){new_id}{reason}", audit.at, audit.action.name(), audit.who, audit.run);
        field("history", Some(&text));
    }
    say!("\n{}", body(&letter.message.body));
}

/// JSON in its pretty form; other text without what would command a terminal; else what it is.
fn body(body: &[u8]) -> String {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        // JSON escapes what would command a terminal, but for the control characters above 7f.
        return format!("{value:#}").lines().map(clean).collect::<Vec<_>>().join("\n");
    }
    match std::str::from_utf8(body) {
        Ok(text) => text.lines().map(clean).collect::<Vec<_>>().join("\n"),
        Err(_) => format!("({} bytes that are no text; `export` or --json gives them)", body.len()),
    }
}
