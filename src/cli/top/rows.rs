//! The tables: workers, and the jobs that they have in hand.

use std::time::Instant;

use time::OffsetDateTime;

use super::answer::Job;
use super::ask::{Seen, Up};
use super::words::{bar, short_span, size, span};
use crate::cli::dead_letters::table::{Cell, clean, render};

const WORKERS: [&str; 5] = ["WORKER", "STATE", "JOBS", "UP", "VERSION"];
const JOBS: [&str; 9] = ["ASSET", "ROUTE", "STEP", "FILES", "DONE", "", "RATE", "ETA", "HELD"];
/// The end of an asset's id is what tells it from others.
const END_OF_ID: usize = 12;
/// Columns of a bar, and those where there is no room.
const BARS: [usize; 2] = [20, 6];

/// A line for each worker, also for those that do not answer.
pub fn workers(seen: &[Seen], now: OffsetDateTime, width: usize) -> Vec<String> {
    let rows: Vec<_> = seen.iter().map(|seen| worker(seen, now)).collect();
    lines(render(&WORKERS, &rows, width))
}

fn worker(seen: &Seen, now: OffsetDateTime) -> Vec<Cell> {
    let Some(Up { jobs, .. }) = &seen.up else {
        let state = match &seen.gone {
            Some((problem, since)) => {
                format!("gone for {}: {problem}", span(Instant::now().duration_since(*since).as_secs_f64()))
            }
            None => "being asked".to_owned(),
        };
        return vec![seen.url.as_str().into(), state.as_str().into(), "-".into(), "-".into(), "-".into()];
    };
    let told = &jobs.worker;
    let state = match (told.readiness.as_str(), &told.reason) {
        ("ready", _) if told.down.is_empty() => "ready".to_owned(),
        ("ready", _) => {
            let down: Vec<_> = told.down.iter().map(|down| down.what.as_str()).collect();
            format!("ready; down: {}", down.join(", "))
        }
        (_, Some(reason)) => format!("not ready: {reason}"),
        (state, None) => state.to_owned(),
    };
    let up = told.started_at.map_or_else(|| "-".to_owned(), |at| span((now - at).as_seconds_f64()));
    let busy = format!("{}/{}", jobs.in_hand, told.concurrency);
    [told.name.as_str(), &state, &busy, &up, &told.version].map(Cell::from).into()
}

/// A line for each job in hand, those that are held for longest first, and no more than `most`.
pub fn jobs(seen: &[Seen], width: usize, most: usize) -> Vec<String> {
    let all = seen.iter().filter_map(|seen| seen.up.as_ref());
    let mut all: Vec<(&Job, &Up)> = all.flat_map(|up| up.jobs.jobs.iter().map(move |job| (job, up))).collect();
    all.sort_by(|(one, _), (other, _)| other.seconds_in_hand.total_cmp(&one.seconds_in_hand));
    if all.is_empty() {
        return vec!["no job in hand".to_owned()];
    }
    let rows: Vec<_> = all.iter().take(most).map(|(job, up)| row(job, up)).collect();
    let mut lines = lines(render(&JOBS, &rows, width));
    if all.len() > most {
        lines.push(format!("and {} more", all.len() - most));
    }
    lines
}

fn row(job: &Job, up: &Up) -> Vec<Cell> {
    let rate = rate(job, up);
    let left = job.bytes_total.saturating_sub(job.bytes_done) as f64;
    let part = (job.bytes_total > 0).then(|| job.bytes_done as f64 / job.bytes_total as f64);
    let percent = part.map(|part| format!("{:.0}%", (part * 100.0).floor()));
    let [bar, short_bar] = BARS.map(|columns| bar(part.unwrap_or(0.0), columns));
    let step = match (job.attempt, job.slice) {
        (0 | 1, 0) => job.step.clone(),
        (attempt, 0) => format!("{} (try {attempt})", job.step),
        (attempt, slice) => format!("{} (try {attempt}, slice {slice})", job.step),
    };
    let route = [&job.source, &job.replica].map(|site| site.as_deref().unwrap_or("?"));
    let files = (job.files_total > 0).then(|| format!("{}/{}", job.files_done, job.files_total));
    let time = |seconds: f64| Cell::new(span(seconds), short_span(seconds));
    let moves = rate > 0.0;
    vec![
        asset(job),
        Cell::new(route.join(" > "), route.join(">")),
        // Of these the end is cut first, as they have no other short form.
        Cell::from(step.as_str()),
        Cell::from(files.as_deref()),
        Cell::new(bar, short_bar),
        Cell::from(percent.as_deref()),
        if moves { Cell::new(format!("{}/s", size(rate)), size(rate)) } else { Cell::from("-") },
        if moves && left > 0.0 { time(left / rate) } else { Cell::from("-") },
        time(job.seconds_in_hand),
    ]
}

fn asset(job: &Job) -> Cell {
    let asset = clean(job.asset.as_deref().unwrap_or("-"));
    let letters = asset.chars().count();
    let short = if letters > END_OF_ID + 1 {
        format!("…{}", asset.chars().skip(letters - END_OF_ID).collect::<String>())
    } else {
        asset.clone()
    };
    Cell::new(asset, short)
}

/// Bytes a second since the last answer, or of the whole job where there was none.
fn rate(job: &Job, up: &Up) -> f64 {
    let lately = up.change.as_ref().and_then(|change| {
        let bytes = change.bytes.get(&job.number)?;
        (change.seconds > 0.0).then(|| *bytes as f64 / change.seconds)
    });
    lately.unwrap_or(job.bytes_per_second as f64)
}

fn lines(text: String) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
