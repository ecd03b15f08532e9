//! Tables that fit a terminal: short forms where there is no room for long ones, then cut columns.

use console::{Style, Term, measure_text_width, truncate_str};

/// The width where nobody looks: a pipe or a file.
const WIDTH_ELSEWHERE: usize = 80;
/// No column is cut below this.
const NARROWEST: usize = 4;
const GAP: &str = "  ";

/// One field, in two lengths.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    long: String,
    short: String,
}

impl Cell {
    /// A field with a short form.
    pub fn new(long: impl AsRef<str>, short: impl AsRef<str>) -> Self {
        Self { long: clean(long.as_ref()), short: clean(short.as_ref()) }
    }

    fn text(&self, short: bool) -> &str {
        if short { &self.short } else { &self.long }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text, text)
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        Self::from(text.unwrap_or("-"))
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::from(number.to_string().as_str())
    }
}

/// Text of others without what would command a terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Columns of a terminal, or 80.
pub fn width() -> usize {
    let (_, columns) = Term::stdout().size_checked().unwrap_or((0, 0));
    if columns == 0 { WIDTH_ELSEWHERE } else { columns.into() }
}

/// Writes a table that is not wider than `width`, where that is possible.
pub fn render(titles: &[&str], rows: &[Vec<Cell>], width: usize) -> String {
    let widths_of = |short: bool| -> Vec<usize> {
        let widest = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| measure_text_width(cell.text(short))).max().unwrap_or(0)
        };
        titles.iter().enumerate().map(|(column, title)| widest(column).max(title.len())).collect()
    };
    let gaps = GAP.len() * titles.len().saturating_sub(1);
    let room = width.saturating_sub(gaps);
    let long = widths_of(false);
    let short = long.iter().sum::<usize>() > room;
    // What has a short form is told by it alone, and is cut last.
    let has_short = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.short != cell.long));
    let widths = if short { cut(widths_of(true), room, has_short) } else { long };
    let title = Style::new().bold();
    let mut lines = vec![line(&widths, titles.iter().map(|text| (*text).to_owned()), Some(&title))];
    lines.extend(rows.iter().map(|row| line(&widths, row.iter().map(|cell| cell.text(short).to_owned()), None)));
    lines.join("\n")
}

/// Takes from the widest column until all fit.
fn cut(mut widths: Vec<usize>, room: usize, spared: impl Fn(usize) -> bool) -> Vec<usize> {
    while widths.iter().sum::<usize>() > room {
        let wide = |spared_too: bool| {
            let columns = (0..widths.len()).filter(|&column| spared_too || !spared(column));
            columns.filter(|&column| widths[column] > NARROWEST).max_by_key(|&column| widths[column])
        };
        let Some(widest) = wide(false).or_else(|| wide(true)) else { break };
        widths[widest] -= 1;
    }
    widths
}

fn line(widths: &[usize], texts: impl Iterator<Item = String>, style: Option<&Style>) -> String {
    let padded = widths.iter().zip(texts).map(|(width, text)| {
        let text = truncate_str(&text, *width, "…");
        let blanks = " ".repeat(width.saturating_sub(measure_text_width(&text)));
        format!("{text}{blanks}")
    });
    let line = padded.collect::<Vec<_>>().join(GAP);
    let line = line.trim_end();
    style.map_or_else(|| line.to_owned(), |style| style.apply_to(line).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![Cell::new("2026-11-20 10:15:30", "10:15"), "asset-encrypted".into(), 3.into()],
            vec![Cell::new("2026-11-20 10:15:31", "10:15"), Cell::from(Some("ü\u{1b}[2J")), 12.into()],
        ]
    }

    #[test]
    fn a_table_takes_the_room_that_there_is() {
        let titles = ["WHEN", "CODE", "TRIES"];
        assert_eq!(
            render(&titles, &rows(), 80),
            "WHEN                 CODE             TRIES\n\
             2026-11-20 10:15:30  asset-encrypted  3\n\
             2026-11-20 10:15:31  ü\u{fffd}[2J            12"
        );
        assert_eq!(
            render(&titles, &rows(), 24),
            "WHEN   CODE        TRIES\n10:15  asset-enc…  3\n10:15  ü\u{fffd}[2J       12"
        );
        for width in [0, 10, 24, 30, 80] {
            let widest = render(&titles, &rows(), width).lines().map(measure_text_width).max();
            assert!(widest <= Some(width.max(3 * NARROWEST + 2 * GAP.len())), "{widest:?} in {width}");
        }
    }
}
