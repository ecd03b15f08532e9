//! One picture of everything, as lines that fit a terminal.

use console::{Style, measure_text_width, truncate_str};
use time::OffsetDateTime;

use super::ask::Seen;
use super::queues::Known;
use super::rows;
use super::totals::{Line, Totals};
use crate::cli::dead_letters::table::clean;

/// Room for titles of lines.
const TITLE: usize = 14;
/// Between what a line says.
const GAP: &str = "   ";
/// Jobs are shown even where there is no room for them.
const FEWEST_JOBS: usize = 3;

/// What is shown.
pub struct Frame<'a> {
    pub seen: &'a [Seen],
    /// `None` before the broker has been asked.
    pub queues: Option<&'a Known>,
    pub now: OffsetDateTime,
}

impl Frame<'_> {
    /// All of it in lines of no more than `width` columns; of the jobs as many as `height` lines leave room for.
    pub fn lines(&self, width: usize, height: Option<usize>, hint: &str) -> Vec<String> {
        let up = self.seen.iter().filter_map(|seen| seen.up.as_ref());
        let mut lines = vec![self.head(hint), String::new()];
        lines.extend(rows::workers(self.seen, self.now, width));
        lines.push(String::new());
        let mut said = Totals::of(up).lines();
        said.retain(|(_, said)| !said.is_empty());
        said.push(("queues", self.queues()));
        lines.extend(said.iter().flat_map(|line| wrapped(line, width)));
        lines.push(String::new());
        // the table's titles, and the line that tells of more
        let room = height.map_or(usize::MAX, |height| height.saturating_sub(lines.len() + 2).max(FEWEST_JOBS));
        lines.extend(rows::jobs(self.seen, width, room));
        let fit = |line: String| truncate_str(&line, width, "…").into_owned();
        lines.into_iter().map(fit).take(height.unwrap_or(usize::MAX)).collect()
    }

    fn head(&self, hint: &str) -> String {
        let (all, up) = (self.seen.len(), self.seen.iter().filter(|seen| seen.up.is_some()).count());
        let ready = self.seen.iter().filter_map(|seen| seen.up.as_ref());
        let ready = ready.filter(|up| up.jobs.worker.readiness == "ready").count();
        let time = self.now.time();
        let clock = format!("{:02}:{:02}:{:02} UTC", time.hour(), time.minute(), time.second());
        let title = Style::new().bold().apply_to("stream-replicator top");
        format!("{title}  {clock}  {up} of {all} up, {ready} ready  {hint}").trim_end().to_owned()
    }

    fn queues(&self) -> Vec<String> {
        match self.queues {
            None => vec!["being asked".to_owned()],
            Some(Err(problem)) => vec![format!("not known: {}", clean(problem))],
            Some(Ok(depths)) => {
                let depth = |depth: &Option<u32>| depth.map_or_else(|| "missing".to_owned(), |depth| depth.to_string());
                depths.iter().map(|(name, held)| format!("{name} {}", depth(held))).collect()
            }
        }
    }
}

/// A title and what it says, in as many lines as that takes.
fn wrapped((title, said): &Line, width: usize) -> Vec<String> {
    let mut lines = vec![format!("{title:<TITLE$}")];
    // A title that is longer has its line to itself.
    if title.len() >= TITLE {
        lines.push(" ".repeat(TITLE));
    }
    for (number, text) in said.iter().enumerate() {
        let text = clean(text);
        let line = lines.last().map_or(0, |line| measure_text_width(line));
        if number > 0 && line + GAP.len() + measure_text_width(&text) > width {
            lines.push(" ".repeat(TITLE));
        } else if number > 0 {
            lines.iter_mut().next_back().into_iter().for_each(|line| line.push_str(GAP));
        }
        lines.iter_mut().next_back().into_iter().for_each(|line| line.push_str(&text));
    }
    lines
}
