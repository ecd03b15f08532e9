//! What is to be moved, found in the log, shown and agreed on before anything is touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::chooser::MOST_REPLAYS;
use super::deed::Deed;
use super::filter::Filter;
use super::register::{Entry, Register};
use super::{Failed, ask, book, list, look};
use crate::cli::Exit;
use crate::events::AuditRecord;
use crate::settings::RabbitmqSettings;

/// What the commands that move letters have in common.
#[derive(Debug, Clone, Args)]
pub struct MoveArguments {
    #[command(flatten)]
    pub filter: Filter,
    /// Every letter of the queue; needed where no other selector is given
    #[arg(long)]
    pub all: bool,
    /// At most so many, the oldest first
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Only say which letters it would be; touches nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Go on where it would stop or refuse: letters that go in circles, queues with a delivery limit
    #[arg(long)]
    pub force: bool,
    /// Who is to be named in the record; by default the user and the machine
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What is to be done, agreed on.
pub struct Plan {
    pub deed: Deed,
    pub filter: Filter,
    /// Most letters to move.
    pub limit: usize,
    pub force: bool,
    /// Whether letters are known that would have to be given back, as they are not meant.
    pub gives_back: bool,
    /// Whether letters that go in circles are moved, too.
    pub circling_too: bool,
    pub who: String,
    pub json: bool,
    pub reason: Option<String>,
    /// Letters a second.
    pub rate: Option<u32>,
    /// How many go first, and how many seconds their outcome is waited for.
    pub canary: Option<(usize, u64)>,
    /// The letters of the log that are meant, and when they were set aside.
    pub expected: BTreeMap<String, Option<OffsetDateTime>>,
    /// How many letters were ready before anybody was asked: what arrives later is behind these.
    pub depth: u32,
    /// When the log was read: what is set aside later is not meant.
    pub read_at: Option<OffsetDateTime>,
    /// Those of them that a run has begun to move which was cut off, with its record.
    pub unsure: Vec<(String, Arc<AuditRecord>)>,
}

/// Either a plan, or how it ended before there was one.
pub enum Planned {
    Go(Box<Plan>),
    End(Exit),
}

/// Finds the letters in the log, shows them or asks.
pub async fn plan(
    settings: &RabbitmqSettings,
    register: &Register,
    arguments: MoveArguments,
    deed: Deed,
) -> Result<Planned, Failed> {
    if !arguments.all && !arguments.filter.is_selective() {
        let text = "say which letters: --id, --code, --class, --since, --asset, or --all".to_owned();
        return Err(Failed::Arguments(text));
    }
    let filter = arguments.filter.resolve(register)?;
    let mut entries = filter.select(register, false);
    let circling: Vec<_> = entries.iter().filter(|entry| is_circling(entry)).map(|entry| &entry.summary.id).collect();
    // To throw away or to change what goes in circles is what one should do.
    let circling_too = arguments.force || !matches!(deed, Deed::Replay);
    if !circling.is_empty() && !circling_too {
        let (count, example) = (circling.len(), circling[0]);
        eprintln!(
            "{count} letters were replayed {MOST_REPLAYS} times and came back, such as {example}: refused without --force"
        );
        entries.retain(|entry| !is_circling(entry));
    }
    let gives_back = filter.is_selective() || (!circling.is_empty() && !circling_too);
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let matching = entries.len();
    entries.truncate(limit);
    let depth = look::depth(settings, filter.queue).await?;
    let known: u32 = register.of(filter.queue).iter().map(|entry| entry.copies()).sum();
    // Letters that the log does not know may be meant, too, but not by an id.
    if entries.is_empty() && (depth <= known || !filter.ids.is_empty()) {
        eprintln!("no letter fits");
        return Ok(Planned::End(Exit::Nothing));
    }
    let verb = verb(&deed);
    let number = if entries.len() == 1 { "1 letter".to_owned() } else { format!("{} letters", entries.len()) };
    if arguments.dry_run {
        show(&entries, register, &filter, arguments.json);
        eprintln!("would {verb} {number}; nothing was touched");
        return Ok(Planned::End(Exit::Done));
    }
    let rest = if matching > entries.len() { format!(" (the oldest of {matching})") } else { String::new() };
    if !ask::confirm(&format!("{verb} {number}{rest} of the {} queue", filter.queue.name()), arguments.yes)? {
        eprintln!("nothing was touched");
        return Ok(Planned::End(Exit::Failed));
    }
    let expected = entries.iter().map(|entry| (entry.summary.id.clone(), entry.summary.at)).collect();
    let in_doubt = |entry: &&Entry| Some((entry.summary.id.clone(), Arc::clone(entry.doubt()?)));
    let unsure = entries.iter().filter_map(in_doubt).collect();
    Ok(Planned::Go(Box::new(Plan {
        deed,
        limit,
        force: arguments.force,
        gives_back,
        circling_too,
        who: arguments.who.unwrap_or_else(book::caller),
        json: arguments.json,
        reason: None,
        rate: None,
        canary: None,
        expected,
        depth,
        read_at: register.read_at,
        unsure,
        filter,
    })))
}

fn verb(deed: &Deed) -> &'static str {
    match deed {
        Deed::Replay => "replay",
        Deed::Discard => "discard",
        Deed::Edit { .. } => "replace",
    }
}

fn is_circling(entry: &Entry) -> bool {
    entry.summary.replays >= MOST_REPLAYS
}

fn show(entries: &[&Entry], register: &Register, filter: &Filter, json: bool) {
    if json {
        let letters: Vec<_> = entries.iter().map(|entry| list::to_json(entry)).collect();
        say!("{:#}", json!({ "dryRun": true, "letters": letters }));
    } else if !entries.is_empty() {
        say!("{}", list::table(entries, &register.of(filter.queue), false));
    }
}
