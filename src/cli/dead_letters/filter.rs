//! Which letters are meant: the selectors that all commands share.

use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::Failed;
use super::register::{Entry, Register};
use super::summary::{Shelf, Summary};
use crate::events::parse_time;

/// The shortest beginning of an id that stands for the whole.
const SHORTEST_BEGINNING: usize = 6;

/// Which letters; several selectors must all match, several values of one are alternatives.
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Only this letter: its id, or the beginning of it; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// Only letters with this code, such as asset-encrypted; may be repeated
    #[arg(long = "code", value_name = "CODE")]
    pub codes: Vec<String>,
    /// Only this class: permanent, exhausted, expired, broker or invalid; may be repeated
    #[arg(long = "class", value_name = "CLASS")]
    pub classes: Vec<String>,
    /// Only letters set aside (by the broker: first seen) since then, or at a time that the log does not know: 45m, 12h, 7d, or a time such as 2026-11-20T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    pub since: Option<OffsetDateTime>,
    /// Only letters about this asset (its id, or the id without nb:cid:UUID:)
    #[arg(long = "asset", value_name = "ASSET")]
    pub assets: Vec<String>,
    /// Which queue: dead holds what could not be carried out, parked what is unusable
    #[arg(long, value_enum, default_value_t = Shelf::Dead)]
    pub queue: Shelf,
}

impl Filter {
    /// Whether it leaves anything out.
    pub fn is_selective(&self) -> bool {
        !self.ids.is_empty()
            || !self.codes.is_empty()
            || !self.classes.is_empty()
            || !self.assets.is_empty()
            || self.since.is_some()
    }

    /// The filter with whole ids in place of their beginnings.
    ///
    /// # Errors
    /// When a beginning fits several letters or is too short; the text names them.
    pub fn resolve(mut self, register: &Register) -> Result<Self, Failed> {
        for id in &mut self.ids {
            let called = register.called(self.queue, id);
            let Some(first) = called.first() else { continue };
            if called.len() > 1 {
                let ids: Vec<_> = called.iter().take(5).map(|entry| entry.summary.id.as_str()).collect();
                let text = format!("--id {id} fits {} letters: {}; give more of it", called.len(), ids.join(", "));
                return Err(Failed::Arguments(text));
            }
            if !first.summary.is_called(id) && id.len() < SHORTEST_BEGINNING {
                let text = format!("--id {id} is too short for a beginning: give {SHORTEST_BEGINNING} characters");
                return Err(Failed::Arguments(text));
            }
            first.summary.id.clone_into(id);
        }
        Ok(self)
    }

    /// Whether it means this letter.
    pub fn matches(&self, letter: &Summary) -> bool {
        let any = |wanted: &[String], is: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|one| is(one));
        letter.queue == self.queue
            && any(&self.ids, &|id| letter.is_called(id))
            && any(&self.codes, &|code| letter.code.as_deref() == Some(code))
            && any(&self.classes, &|class| letter.class.as_deref() == Some(class))
            && any(&self.assets, &|asset| letter.asset.as_deref().is_some_and(|known| is_asset(known, asset)))
            && self.since.is_none_or(|since| letter.at.is_none_or(|at| at >= since))
    }

    /// The letters of the log that it means, oldest first.
    pub fn select<'a>(&self, register: &'a Register, closed_too: bool) -> Vec<&'a Entry> {
        let mut entries = register.of(self.queue);
        entries.retain(|entry| (closed_too || entry.is_open()) && self.matches(&entry.summary));
        entries
    }

    /// The selectors in the words of the command line, for records.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        let lists =
            [("--id", &self.ids), ("--code", &self.codes), ("--class", &self.classes), ("--asset", &self.assets)];
        for (option, values) in lists {
            words.extend(values.iter().map(|value| format!("{option} {value}")));
        }
        words.extend(self.since.map(|since| format!("--since {}", crate::events::format_time(since))));
        if words.is_empty() {
            words.push("--all".to_owned());
        }
        words.join(" ")
    }
}

fn is_asset(known: &str, wanted: &str) -> bool {
    known.eq_ignore_ascii_case(wanted) || known.rsplit(':').next().is_some_and(|guid| guid.eq_ignore_ascii_case(wanted))
}

/// A span before now, or a time.
fn parse_since(text: &str) -> Result<OffsetDateTime, String> {
    if let Some(time) = parse_time(text) {
        return Ok(time);
    }
    let problem = || "is neither a span such as 45m, 12h, 7d nor a time such as 2026-11-20T10:00:00Z".to_owned();
    let unit = text.chars().last().ok_or_else(problem)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(problem()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| problem())?;
    let span = Duration::from_secs(number.checked_mul(seconds).ok_or_else(problem)?);
    OffsetDateTime::now_utc().checked_sub(span.try_into().map_err(|_| problem())?).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_span_or_a_time() {
        let ago = |text| -(parse_since(text).unwrap() - OffsetDateTime::now_utc()).whole_seconds();
        assert_eq!((ago("45m"), ago("12h"), ago("7d"), ago("3s")), (2_700, 43_200, 604_800, 3));
        assert_eq!(parse_since("2026-11-20T10:00:00+01:00").unwrap().unix_timestamp(), 1_795_165_200);
        for wrong in ["", "5", "h", "-5m", "5 m", "5ü", "yesterday", "99999999999999999999d", "999999999999999d"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_asset_is_known_by_its_guid_too() {
        assert!(is_asset("nb:cid:UUID:ab", "AB") && is_asset("nb:cid:UUID:ab", "nb:cid:UUID:ab"));
        assert!(!is_asset("nb:cid:UUID:ab", "b"));
    }
}
