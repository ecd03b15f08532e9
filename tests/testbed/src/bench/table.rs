//! The tables that people read.

use std::fmt::Write as _;

use super::rounds::{Compared, Row};

/// Widths of the columns; the first is to the left.
const HEAD: [&str; 10] =
    ["", "wall s", "from..to", "to ours", "CPU s", "RSS MiB", "of best", "cloud CPU", "requests", "rounds"];
const WIDTHS: [usize; 10] = [25, 8, 15, 8, 7, 8, 8, 10, 9, 7];

/// All workloads, one below the other.
pub(super) fn write(compared: &[Compared]) -> String {
    let mut text = line(&HEAD.map(str::to_owned));
    for one in compared {
        let bound = one.bound.map(|bound| bound.seconds());
        let bound = bound.map_or_else(
            || "best: the 32 plain copies".to_owned(),
            |(seconds, term)| format!("best: T* = {seconds:.2} s, by {term}"),
        );
        text.push_str(&format!("\n{}; {bound}\n", one.title));
        for row in &one.rows {
            text.push_str(&row_line(one, row));
        }
    }
    text + LEGEND
}

const LEGEND: &str = "\nwall: median of the rounds. to ours: how many times our cold wall time. cold: a process's first \
container, start and end included; warm: its second one, as are the plain copies' (Azurite becomes slower with what it holds);\n\
copying alone: without listing and verification. of best: best / wall. cloud CPU: what the storage itself used of one processor. \
*: reckoned from a part of the files.\n";

fn row_line(compared: &Compared, row: &Row) -> String {
    let Some(wall) = row.wall_seconds() else {
        return failure(row);
    };
    let ends = row.samples.iter().map(|sample| sample.wall_seconds);
    let (least, most) = ends.fold((f64::MAX, 0.0_f64), |(least, most), wall| (least.min(wall), most.max(wall)));
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let reckoned = row.samples.iter().any(|sample| sample.copied_only.is_some());
    let star = if reckoned { " *" } else { "" };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let requests = row.median(|sample| sample.requests.map(|requests| requests as f64));
    let mut text = line(&[
        format!("  {}{star}", row.name),
        seconds(wall),
        format!("{}..{}", seconds(least), seconds(most)),
        or_dash(compared.ours_cold().map(|ours| format!("{:.2}", wall / ours))),
        or_dash(row.median(|sample| sample.cpu_seconds).map(|seconds| format!("{seconds:.2}"))),
        or_dash(row.median(|sample| Some(sample.peak_rss_mib)).map(|mib| format!("{mib:.0}"))),
        or_dash(compared.best().map(|best| percent(best / wall))),
        or_dash(row.median(|sample| Some(sample.cloud_cpu_share)).map(percent)),
        or_dash(requests.map(|requests| format!("{requests:.0}"))),
        row.samples.len().to_string(),
    ]);
    if let Some(copying) = row.median(|sample| sample.copy_seconds) {
        let mut cells = [const { String::new() }; 10];
        cells[0] = "    copying alone".to_owned();
        cells[1] = seconds(copying);
        cells[3] = or_dash(compared.ours_cold().map(|ours| format!("{:.2}", copying / ours)));
        cells[6] = or_dash(compared.best().map(|best| percent(best / copying)));
        text.push_str(&line(&cells));
    }
    if row.failed.is_some() { text + &failure(row) } else { text }
}

fn failure(row: &Row) -> String {
    let mut text = format!("  {}: failed\n", row.name);
    for line in row.failed.iter().flat_map(|why| why.lines()) {
        let _ = writeln!(text, "      {}", line.chars().take(160).collect::<String>());
    }
    text
}

fn line(cells: &[String; 10]) -> String {
    let mut text = String::new();
    for (number, (cell, width)) in cells.iter().zip(WIDTHS).enumerate() {
        let _ = if number == 0 { write!(text, "{cell:<width$}") } else { write!(text, "{cell:>width$}") };
    }
    text.trim_end().to_owned() + "\n"
}

/// Two digits behind the point, fewer for what is long.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 100.0 { format!("{seconds:.2}") } else { format!("{seconds:.0}") }
}
