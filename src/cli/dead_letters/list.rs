//! `dead-letters list`: every letter that is still to be dealt with, one a line.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use super::Failed;
use super::look::{self, LookArguments};
use super::register::{Entry, State};
use super::table::{self, Cell};
use crate::cli::Exit;
use crate::settings::RabbitmqSettings;

/// Characters of an id that are shown at least where there is no room for all.
const SHORT_ID: usize = 8;

/// What to list.
#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    look: LookArguments,
    /// Only the newest so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Lists letters from the log.
pub async fn list(settings: &RabbitmqSettings, arguments: ListArguments) -> Result<Exit, Failed> {
    let (register, depth) = look::look(settings, &arguments.look).await?;
    let filter = arguments.look.filter.resolve(&register)?;
    let mut entries = filter.select(&register, arguments.look.all);
    let matching = entries.len();
    if let Some(limit) = arguments.limit {
        entries.drain(..matching.saturating_sub(limit));
    }
    if arguments.json {
        let letters: Vec<_> = entries.iter().map(|entry| to_json(entry)).collect();
        let queue = filter.queue.name();
        let document = json!({ "queue": queue, "messagesReady": depth, "matching": matching, "shown": letters.len(), "letters": letters });
        say!("{document:#}");
        return Ok(Exit::Done);
    }
    if !entries.is_empty() {
        say!("{}\n", table(&entries, &register.of(filter.queue), arguments.look.all));
    }
    say!("{}", counted(&entries, matching));
    look::tell_difference(&register, filter.queue, depth);
    Ok(Exit::Done)
}

/// A letter as JSON: its summary, and where it stands.
pub fn to_json(entry: &Entry) -> Value {
    let mut letter = serde_json::to_value(&entry.summary).unwrap_or_default();
    letter["state"] = entry.state().name().into();
    letter["copies"] = entry.copies().into();
    letter["offset"] = entry.offset.into();
    letter
}

/// One line for each letter; short ids are as long as it takes to tell all of the queue apart.
pub fn table(entries: &[&Entry], known: &[&Entry], with_state: bool) -> String {
    let mut titles = vec!["WHEN", "ID", "CLASS", "CODE", "STEP", "SITE", "ASSET", "TRIES"];
    let unsure = entries.iter().any(|entry| entry.state() == State::Unsure);
    if with_state || unsure {
        titles.push("STATE");
    }
    let length = telling_length(known);
    let row = |entry: &&Entry| {
        let letter = &entry.summary;
        let mut row: Vec<Cell> = vec![
            when(letter.at),
            Cell::new(&letter.id, beginning(&letter.id, length)),
            letter.class.as_deref().into(),
            letter.code.as_deref().into(),
            letter.step.as_deref().into(),
            letter.site.as_deref().into(),
            asset(letter.asset.as_deref()),
            letter.attempts.into(),
        ];
        if with_state || unsure {
            row.push(entry.state().name().into());
        }
        row
    };
    table::render(&titles, &entries.iter().map(row).collect::<Vec<_>>(), table::width())
}

/// A time in UTC, for people.
pub fn when(at: Option<OffsetDateTime>) -> Cell {
    let long = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let short = format_description!("[month]-[day] [hour]:[minute]");
    let text = |at: OffsetDateTime| Some((at.format(long).ok()?, at.format(short).ok()?));
    at.and_then(text).map_or_else(|| Cell::from("-"), |(long, short)| Cell::new(long, short))
}

fn asset(asset: Option<&str>) -> Cell {
    let Some(asset) = asset else { return Cell::from("-") };
    let guid = asset.rsplit(':').next().unwrap_or(asset);
    Cell::new(asset, beginning(guid, SHORT_ID))
}

fn beginning(text: &str, length: usize) -> &str {
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

/// How many characters tell all ids apart: neighbours in their order share the most.
fn telling_length(entries: &[&Entry]) -> usize {
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.summary.id.as_str()).collect();
    ids.sort_unstable();
    let shared = |pair: &[&str]| pair[0].chars().zip(pair[1].chars()).take_while(|(one, other)| one == other).count();
    ids.windows(2).map(|pair| shared(pair) + 1).max().unwrap_or(0).max(SHORT_ID)
}

/// `40 letters: 30 permanent, 10 expired`.
fn counted(entries: &[&Entry], matching: usize) -> String {
    let mut classes = BTreeMap::<&str, usize>::new();
    for entry in entries {
        *classes.entry(entry.summary.class.as_deref().unwrap_or("without class")).or_default() += 1;
    }
    let classes: Vec<_> =
        classes.into_iter().map(|(class, count)| format!("{count} {}", table::clean(class))).collect();
    let number = match entries.len() {
        0 => return "no letters".to_owned(),
        1 => "1 letter".to_owned(),
        number => format!("{number} letters"),
    };
    let rest = if matching > entries.len() { format!(" (the newest of {matching})") } else { String::new() };
    format!("{number}{rest}: {}", classes.join(", "))
}
