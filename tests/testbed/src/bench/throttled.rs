//! A storage that allows half of the requests that we could make: how much of that gets through, and who gets it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cloud::{Costs, Logged};

use super::cloud::{Cloud, Pair};
use super::ours::{self, OurRun};
use super::programs::Programs;
use super::workload::{Kind, segments};
use super::{note, say};

const BLOB_BYTES: u64 = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(1800);
/// Finding the limit may cost refusals; what comes after this must not.
const SETTLED_MILLISECONDS: f64 = 5000.0;

/// What became of the requests of some processes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Throttled {
    processes: usize,
    limit_per_second: f64,
    wall_seconds: f64,
    /// Copies that went well, over what the limit allows in the time from the first to the last of them.
    goodput: f64,
    /// The same of the time after the first 5 s.
    goodput_settled: f64,
    /// Share of the requests that were answered 503.
    busy: f64,
    busy_settled: f64,
    /// The copies that the slower process made while both were at it, per copy of the faster one.
    fairness: Option<f64>,
}

/// Measures without a limit, then one process and two processes at half of that; prints the figures.
///
/// # Errors
/// When a copy fails.
pub(super) async fn measure(programs: &Programs, is_small: bool) -> Result<Vec<Throttled>> {
    let blobs = if is_small { 6_000 } else { 40_000 };
    let free = run(programs, blobs, 1, None).await?;
    let rate = Log::of(&free.log, &free.pairs).rate()?;
    let limit = rate / 2.0;
    say(&format!(
        "\n{blobs} blobs of 64 KiB a process; without a limit {rate:.0} copies/s; limit {limit:.0} requests/s"
    ));
    let heads = ["processes", "wall s", "goodput", "after 5 s", "503s", "after 5 s", "fairness"];
    say(&heads.map(|head| format!("{head:>10}")).concat());
    let mut results = Vec::new();
    for processes in [1, 2] {
        let done = run(programs, blobs, processes, Some(limit)).await?;
        let result = judge(&done, limit)?;
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let cells = [
            processes.to_string(),
            format!("{:.1}", result.wall_seconds),
            percent(result.goodput),
            percent(result.goodput_settled),
            percent(result.busy),
            percent(result.busy_settled),
            result.fairness.map_or_else(|| "-".to_owned(), |fairness| format!("{fairness:.2}")),
        ];
        say(&cells.map(|cell| format!("{cell:>10}")).concat());
        results.push(result);
    }
    say("wanted: goodput 90 % of the limit, of two 85 % together; 503s after 5 s under 5 %; fairness 0.80");
    Ok(results)
}

/// Processes that have ended, and all that they asked of the storage.
struct Done {
    runs: Vec<OurRun>,
    pairs: Vec<Pair>,
    log: Vec<Logged>,
}

/// So many processes at the same time, each with a container of its own.
async fn run(programs: &Programs, blobs: u64, processes: usize, limit: Option<f64>) -> Result<Done> {
    let costs = Costs { requests_per_second: limit, ..Costs::default() };
    let cloud = Cloud::start(Kind::Model, programs, &costs).await?;
    let mut pairs = Vec::new();
    for number in 0..processes {
        let source = format!("source-{number}");
        cloud.seed(&source, &[segments("segment-", blobs, BLOB_BYTES)]).await?;
        pairs.push(cloud.fresh(&source, &format!("replica-{number}")).await?);
    }
    let limited = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("limit of {limit:.0} requests/s"));
    note(&format!("processes: {processes}, {limited}"));
    // also with as many refusals as copies
    cloud.model()?.keep_log(3 * blobs * processes as u64).await?;
    let copies =
        pairs.iter().map(|pair| ours::copy(&programs.worker, cloud.endpoint(), std::slice::from_ref(pair), LIMIT));
    let runs = futures::future::try_join_all(copies).await?;
    let log = cloud.model()?.log().await?;
    for pair in &pairs {
        cloud.check(pair, None).await?;
    }
    Ok(Done { runs, pairs, log })
}

fn judge(done: &Done, limit: f64) -> Result<Throttled> {
    let log = Log::of(&done.log, &done.pairs);
    let settled = log.begin + SETTLED_MILLISECONDS;
    // a run that has ended takes nothing of its share any more
    let both_until = log.ends().into_iter().fold(f64::MAX, f64::min);
    let fairness = (done.pairs.len() == 2).then(|| {
        let made = log.each(|entry| is_good(entry) && entry.ended_milliseconds <= both_until);
        made[0].min(made[1]) / made[0].max(made[1]).max(1.0)
    });
    Ok(Throttled {
        processes: done.pairs.len(),
        limit_per_second: limit,
        wall_seconds: done.runs.iter().map(|run| run.metered.wall.as_secs_f64()).fold(0.0, f64::max),
        goodput: log.rate()? / limit,
        goodput_settled: log.rate_since(settled)? / limit,
        busy: log.busy(log.begin),
        busy_settled: log.busy(settled),
        fairness,
    })
}

/// The requests of a run, from the model's own log.
struct Log<'a> {
    entries: &'a [Logged],
    pairs: &'a [Pair],
    begin: f64,
}

fn is_good(entry: &Logged) -> bool {
    entry.operation.is_copy() && (200..300).contains(&entry.status)
}

impl<'a> Log<'a> {
    fn of(entries: &'a [Logged], pairs: &'a [Pair]) -> Self {
        let begin = entries.iter().map(|entry| entry.started_milliseconds).fold(f64::MAX, f64::min);
        Self { entries, pairs, begin }
    }

    fn count(&self, is_meant: impl Fn(&Logged) -> bool) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let count = self.entries.iter().filter(|entry| is_meant(entry)).count() as f64;
        count
    }

    /// Good copies per second, from the first request to the last good copy.
    fn rate(&self) -> Result<f64> {
        self.rate_since(self.begin)
    }

    fn rate_since(&self, since: f64) -> Result<f64> {
        let last = self.entries.iter().filter(|entry| is_good(entry)).map(|entry| entry.ended_milliseconds);
        let last =
            last.reduce(f64::max).filter(|last| *last > since).context("too fast to be measured: take more blobs")?;
        let copies = self.count(|entry| is_good(entry) && entry.ended_milliseconds >= since);
        Ok(copies / ((last - since) / 1000.0))
    }

    /// Share of 503s among what was answered since then.
    fn busy(&self, since: f64) -> f64 {
        let all = self.count(|entry| entry.ended_milliseconds >= since);
        self.count(|entry| entry.ended_milliseconds >= since && entry.status == 503) / all.max(1.0)
    }

    /// A figure for each process.
    fn each(&self, is_meant: impl Fn(&Logged) -> bool) -> Vec<f64> {
        let of = |pair: &Pair| self.count(|entry| entry.container == pair.replica && is_meant(entry));
        self.pairs.iter().map(of).collect()
    }

    /// When each process had made its last copy.
    fn ends(&self) -> Vec<f64> {
        let end = |pair: &Pair| {
            let good = self.entries.iter().filter(|entry| entry.container == pair.replica && is_good(entry));
            good.map(|entry| entry.ended_milliseconds).fold(0.0, f64::max)
        };
        self.pairs.iter().map(end).collect()
    }
}
