//! Findings as a table for people, no wider than 80 columns.

use super::{advice, detail};
use crate::rabbitmq::{Finding, State, TopologyReport};
use crate::settings::RabbitmqSettings;

/// Said wherever something is different.
pub const ONE_AT_A_TIME: &str = "the broker names one difference of a thing at a time, so that the next check may name \
                                 another one of the same thing";

const WIDTH: usize = 80;
/// Where the lines below a finding begin.
const INDENT: usize = 14;

/// One line for each finding, and below it what is to be said and done.
pub fn rows(report: &TopologyReport, settings: &RabbitmqSettings) -> String {
    let mut rows = String::new();
    for finding in &report.findings {
        let first = format!("{:<INDENT$}{:<10}", word(&finding.state), finding.kind);
        push(&mut rows, &first, INDENT + 10, &finding.name);
        if let Some(detail) = detail(&finding.state) {
            push(&mut rows, &" ".repeat(INDENT), INDENT, &detail);
        }
        for (number, step) in advice::steps(finding, settings).iter().enumerate() {
            push(&mut rows, &format!("{}{}. ", " ".repeat(INDENT), number + 1), INDENT + 3, step.step);
            if let Some(command) = &step.command {
                push_command(&mut rows, command);
            }
        }
    }
    rows
}

/// The last lines: how many of each, what to do, and what could not be checked.
pub fn summary(report: &TopologyReport, not_checked: &[&str]) -> String {
    let count = |is: fn(&Finding) -> bool| report.findings.iter().filter(|finding| is(finding)).count();
    let missing = report.missing().count();
    let different = report.different().count();
    let not_compared = count(|finding| matches!(finding.state, State::NotCompared(_)));
    let ok = count(|finding| finding.state == State::Same);
    let word = if report.is_complete() { "complete" } else { "not complete" };
    let mut lines = String::new();
    let counts = format!("{ok} ok, {missing} missing, {different} different, {not_compared} not compared");
    push(&mut lines, "", 0, &format!("{word}: {counts}"));
    if missing > 0 {
        push(&mut lines, "", 0, "what is missing is made by `stream-replicator topology apply`");
    }
    if different > 0 {
        push(&mut lines, "", 0, ONE_AT_A_TIME);
    }
    push(&mut lines, "", 0, "not checked, as AMQP does not tell:");
    for what in not_checked {
        push(&mut lines, "- ", 2, what);
    }
    lines
}

fn word(state: &State) -> &'static str {
    match state {
        State::Same => "ok",
        State::Made => "made",
        State::Missing => "missing",
        State::Different(_) => "different",
        State::LeftOver(_) => "left over",
        State::NotCompared(_) => "not compared",
    }
}

/// Appends a text in lines that fit, the first one after `first`, the others after `indent` blanks.
fn push(lines: &mut String, first: &str, indent: usize, text: &str) {
    let width = WIDTH - indent;
    let (mut begin, mut used) = (first.to_owned(), 0);
    for word in text.split(' ').flat_map(|word| pieces(word, width)) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push_str(&begin);
            lines.push('\n');
            (begin, used) = (" ".repeat(indent), 0);
        }
        if used > 0 {
            begin.push(' ');
            used += 1;
        }
        begin.push_str(&word);
        used += length;
    }
    lines.push_str(&begin);
    lines.push('\n');
}

/// Appends a command in lines that fit and can be pasted: words are never cut.
fn push_command(lines: &mut String, command: &str) {
    let mut line = " ".repeat(INDENT + 3);
    // A line break inside quotes would be part of the word.
    let may_break = !command.contains('\'');
    for (number, word) in command.split(' ').enumerate() {
        if number > 0 {
            if may_break && line.chars().count() + word.chars().count() + 3 > WIDTH {
                lines.push_str(&line);
                lines.push_str(" \\\n");
                line = " ".repeat(INDENT + 5);
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
}

/// A word as it is, or in pieces where it is wider than a line.
fn pieces(word: &str, width: usize) -> Vec<String> {
    let letters: Vec<_> = word.chars().collect();
    letters.chunks(width).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_command_can_be_pasted() {
        let (mut lines, url) = (String::new(), "u".repeat(60));
        push_command(&mut lines, &format!("curl -X DELETE {url}"));
        assert_eq!(lines, format!("                 curl -X DELETE \\\n                   {url}\n"));
    }

    #[test]
    fn lines_are_broken_between_words_and_where_a_word_is_too_long() {
        let mut lines = String::new();
        push(&mut lines, "first ", 6, &format!("{} {} end", "a ".repeat(40).trim(), "b".repeat(100)));
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{lines:?}");
        assert!(lines[0].starts_with("first a a") && lines[1].starts_with("      a"), "{lines:?}");
        assert_eq!(lines[2].trim().len(), WIDTH - 6);
        assert_eq!(lines[3], format!("      {} end", "b".repeat(100 - (WIDTH - 6))));
    }
}
