//! What the demo prints: headings, steps with their time, the worker's log lines, tables, events; within 100 columns.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

const COLUMNS: usize = 100;
/// Time and actor come before every text.
const INDENT: usize = 21;

/// Standard output, shared by the acts and by those who report while an act runs.
#[derive(Debug)]
pub(super) struct Screen {
    // held while writing, so that two who report at once do not mix their lines
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    act_began: Instant,
    /// Whether the last line is blank, so that paragraphs stand one blank line apart.
    blank: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { act_began: Instant::now(), blank: false }) }
    }

    /// Begins an act: its clock starts at zero.
    pub(super) fn heading(&self, title: &str) {
        let mut state = self.lock();
        state.act_began = Instant::now();
        let rule = "=".repeat(COLUMNS.saturating_sub(title.chars().count() + 4));
        state.paragraph(&format!("== {title} {rule}\n"));
    }

    /// Something that one of the actors did, and when.
    pub(super) fn step(&self, actor: &str, text: &str) {
        let mut state = self.lock();
        let head = format!("{:>6.2} s  {actor:<9}", state.act_began.elapsed().as_secs_f64());
        write(&format!("{}\n", hanging(&head, INDENT, text)));
        state.blank = false;
    }

    /// A remark of the demo itself.
    pub(super) fn remark(&self, text: &str) {
        self.lock().paragraph(&format!("{}\n", hanging("", 2, text)));
    }

    /// Lines as they are, indented.
    pub(super) fn block(&self, text: &str) {
        self.lock().paragraph(&text.lines().map(|line| format!("    {line}\n")).collect::<String>());
    }

    /// Names and values, long values wrapped.
    pub(super) fn card(&self, rows: &[(&str, &str)]) {
        let indent = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 6;
        let row = |(name, value): &(&str, &str)| format!("{}\n", hanging(&format!("    {name}"), indent, value));
        self.lock().paragraph(&rows.iter().map(row).collect::<String>());
    }

    /// What went wrong, on standard error, with the last lines of the worker.
    pub(super) fn failure(&self, text: &str, worker: &[String]) {
        let _state = self.lock();
        let mut out = std::io::stderr().lock();
        let _ = writeln!(out, "\ndemo: FAILED: {text}");
        if !worker.is_empty() {
            let lines: String = worker.iter().map(|line| format!("    {line}\n")).collect();
            let _ = write!(out, "the worker's last lines were:\n{lines}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn paragraph(&mut self, text: &str) {
        write(&format!("{}{text}\n", if self.blank { "" } else { "\n" }));
        self.blank = true;
    }
}

/// Output that nobody reads any more is no reason to fail.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A text behind its head, its further lines below its first word.
fn hanging(head: &str, indent: usize, text: &str) -> String {
    let lines = wrap(text.split_whitespace().map(str::to_owned), COLUMNS - indent);
    format!("{head:<indent$}{}", lines.join(&format!("\n{}", " ".repeat(indent))))
}

/// Fills lines; a word that is longer than a line gets a line of its own.
fn wrap(words: impl Iterator<Item = String>, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Indented JSON in which whatever fits on a line stays on it.
pub(super) fn pretty(value: &Value) -> String {
    let mut text = String::new();
    write_pretty(value, 0, 0, &mut text);
    text
}

/// `column`: how much of the line is taken already.
fn write_pretty(value: &Value, depth: usize, column: usize, text: &mut String) {
    let flat = spaced(value);
    let members = members_of(value);
    // the block's indent and a comma
    if members.is_empty() || column + flat.chars().count() + 5 <= COLUMNS {
        text.push_str(&flat);
        return;
    }
    let (open, close) = if value.is_object() { ("{", "}") } else { ("[", "]") };
    let indent = "  ".repeat(depth + 1);
    let last = members.len() - 1;
    if members.iter().all(|(_, member)| !member.is_object() && !member.is_array()) {
        let comma = |index| if index == last { "" } else { "," };
        let words = members.iter().enumerate();
        let words = words.map(|(index, (name, member))| format!("{name}{}{}", spaced(member), comma(index)));
        let lines = wrap(words, COLUMNS - 6 - indent.len());
        text.push_str(&format!("{open} {} {close}", lines.join(&format!("\n{indent}"))));
        return;
    }
    text.push_str(open);
    for (index, (name, member)) in members.iter().enumerate() {
        text.push_str(&format!("\n{indent}{name}"));
        write_pretty(member, depth + 1, indent.len() + name.len(), text);
        text.push_str(if index == last { "" } else { "," });
    }
    text.push_str(&format!("\n{}{close}", "  ".repeat(depth)));
}

/// What stands between the brackets: names (with their colon) and values.
fn members_of(value: &Value) -> Vec<(String, &Value)> {
    let quoted = |name: &String| format!("{}: ", Value::from(name.as_str()));
    match value {
        Value::Object(members) => members.iter().map(|(name, member)| (quoted(name), member)).collect(),
        Value::Array(elements) => elements.iter().map(|element| (String::new(), element)).collect(),
        _ => Vec::new(),
    }
}

/// One line, with blanks where people expect them.
fn spaced(value: &Value) -> String {
    let members: Vec<_> = members_of(value).iter().map(|(name, member)| format!("{name}{}", spaced(member))).collect();
    match value {
        Value::Object(_) if !members.is_empty() => format!("{{ {} }}", members.join(", ")),
        Value::Array(_) if !members.is_empty() => format!("[ {} ]", members.join(", ")),
        plain => plain.to_string(),
    }
}

/// Rows below their headings, in columns.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_texts_hang_below_their_first_word() {
        let text = hanging("  0.10 s  worker", INDENT, &"word ".repeat(30));
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.len() <= COLUMNS), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with(&format!("{}word", " ".repeat(INDENT))), "{text}");
    }

    #[test]
    fn json_stays_on_a_line_where_it_fits() {
        let (x, y) = ("x".repeat(60), "y".repeat(60));
        let value = json!({"a": {"b": [1, 2], "c": {}, "d": []}, "long": {"x": x, "n": null, "y": y}});
        let text = format!(
            "{{\n  \"a\": {{ \"b\": [ 1, 2 ], \"c\": {{}}, \"d\": [] }},\n  \"long\": {{ \"x\": \"{x}\", \"n\": null,\n    \"y\": \"{y}\" }}\n}}"
        );
        assert_eq!(pretty(&value), text);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b", "c"], ["long", "", "x"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a     b  c\nlong     x\n");
    }
}
