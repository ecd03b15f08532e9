//! `dead-letters groups`: what failed in the same way, counted.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::Failed;
use super::list::when;
use super::look::{self, LookArguments};
use super::register::Entry;
use super::table::{self, Cell};
use crate::cli::Exit;
use crate::events::format_time;
use crate::settings::RabbitmqSettings;

/// What to group.
#[derive(Debug, Args)]
pub struct GroupsArguments {
    #[command(flatten)]
    look: LookArguments,
    /// Only the largest so many groups
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Class, code, step and site.
type Kind<'a> = [Option<&'a str>; 4];

struct Group<'a> {
    kind: Kind<'a>,
    count: usize,
    first: Option<OffsetDateTime>,
    last: Option<OffsetDateTime>,
    latest: &'a Entry,
}

/// Groups letters from the log.
pub async fn groups(settings: &RabbitmqSettings, arguments: GroupsArguments) -> Result<Exit, Failed> {
    let (register, depth) = look::look(settings, &arguments.look).await?;
    let filter = arguments.look.filter.resolve(&register)?;
    let entries = filter.select(&register, arguments.look.all);
    let mut groups = grouped(&entries);
    let (letters, all) = (entries.len(), groups.len());
    groups.truncate(arguments.limit.unwrap_or(usize::MAX));
    if arguments.json {
        let groups: Vec<_> = groups.iter().map(to_json).collect();
        let document = json!({ "queue": filter.queue.name(), "letters": letters, "matching": all, "groups": groups });
        say!("{document:#}");
        return Ok(Exit::Done);
    }
    if groups.is_empty() {
        say!("no letters");
    } else {
        say!("{}\n", rows(&groups));
        let shown = if groups.len() < all { format!(" (the largest of {all})") } else { String::new() };
        say!("{letters} letters in {} groups{shown}", groups.len());
        for group in &groups {
            let letter = &group.latest.summary;
            say!("\n{}, for example {}", table::clean(group.kind[1].or(group.kind[0]).unwrap_or("-")), letter.id);
            for (word, text) in [("error", &letter.error), ("hint", &letter.hint)] {
                text.iter().for_each(|text| say!("  {word:<5}  {}", table::clean(text)));
            }
        }
    }
    look::tell_difference(&register, filter.queue, depth);
    Ok(Exit::Done)
}

/// The largest first.
fn grouped<'a>(entries: &[&'a Entry]) -> Vec<Group<'a>> {
    let mut groups = BTreeMap::<Kind<'_>, Group<'_>>::new();
    for &entry in entries {
        let letter = &entry.summary;
        let kind = [&letter.class, &letter.code, &letter.step, &letter.site].map(Option::as_deref);
        let group = groups.entry(kind).or_insert(Group { kind, count: 0, first: None, last: None, latest: entry });
        group.count += 1;
        group.first = [group.first, letter.at].into_iter().flatten().min();
        group.last = group.last.max(letter.at);
        group.latest = entry;
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

fn rows(groups: &[Group<'_>]) -> String {
    let titles = ["COUNT", "CLASS", "CODE", "STEP", "SITE", "FIRST", "LAST"];
    let row = |group: &Group<'_>| {
        let [class, code, step, site] = group.kind.map(Cell::from);
        let count = Cell::from(u64::try_from(group.count).unwrap_or(u64::MAX));
        vec![count, class, code, step, site, when(group.first), when(group.last)]
    };
    table::render(&titles, &groups.iter().map(row).collect::<Vec<_>>(), table::width())
}

fn to_json(group: &Group<'_>) -> serde_json::Value {
    let [class, code, step, site] = group.kind;
    let example = &group.latest.summary;
    json!({
        "count": group.count, "class": class, "code": code, "step": step, "site": site,
        "first": group.first.map(format_time), "last": group.last.map(format_time),
        "exampleId": example.id, "exampleError": example.error, "hint": example.hint,
    })
}
