//! What all workers together have counted, and how fast: a few lines from their metrics.

use super::ask::{Change, Up};
use super::prometheus::Samples;
use super::words::{count, per_second, size, span};

const MESSAGES: &str = "stream_replicator_messages_total";
const OLDEST: &str = "stream_replicator_oldest_message_age_seconds";
const REPLICAS: &str = "stream_replicator_replicas_total";
const LAG: &str = "stream_replicator_replication_lag_seconds";
const FILES: &str = "stream_replicator_copied_files_total";
const BYTES: &str = "stream_replicator_copied_bytes_total";
const BYTES_LEFT: &str = "stream_replicator_copy_bytes_left";
const REQUESTS: &str = "stream_replicator_copy_requests_total";
const IN_FLIGHT: &str = "stream_replicator_copy_requests_in_flight";
const WIDTH: &str = "stream_replicator_copy_width";
const RETRIES: &str = "stream_replicator_retries_total";
const DEAD_LETTERS: &str = "stream_replicator_dead_letters_total";
const FAILURES: &str = "stream_replicator_verification_failures_total";

/// A line: its title, and what it says one after the other.
pub type Line = (&'static str, Vec<String>);

/// The samples of all workers that answer.
#[derive(Debug, Default)]
pub struct Totals {
    now: Samples,
    /// Growth, and the seconds it took; `None` where no worker has answered twice.
    change: Option<(Samples, f64)>,
}

impl Totals {
    /// Of these answers.
    pub fn of<'a>(workers: impl Iterator<Item = &'a Up>) -> Self {
        let mut totals = Self::default();
        for up in workers {
            totals.now.add(&up.samples);
            if let Some(Change { samples, seconds, .. }) = &up.change {
                let (growth, longest) = totals.change.get_or_insert_with(Default::default);
                growth.add(samples);
                *longest = seconds.max(*longest);
            }
        }
        totals
    }

    /// All lines; one that has nothing to say says so.
    pub fn lines(&self) -> Vec<Line> {
        vec![
            ("messages", self.messages()),
            ("replicas", self.replicas()),
            ("copies", self.copies()),
            ("retries", self.named(RETRIES, "tier", |tier, count| format!("{count} in {tier}"))),
            ("dead letters", self.dead_letters()),
            ("not as it should be", self.named(FAILURES, "code", |code, count| format!("{count} {code}"))),
        ]
    }

    fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (growth, seconds) = self.change.as_ref()?;
        (*seconds > 0.0).then(|| growth.sum(name, labels) / seconds)
    }

    fn messages(&self) -> Vec<String> {
        let settled = self.now.by(MESSAGES, "settlement").into_iter().map(|(settlement, value)| {
            let rate = self.rate(MESSAGES, &[("settlement", &settlement)]);
            format!("{} {settlement}{}", count(value), per_second(rate))
        });
        let oldest = self.now.sum(OLDEST, &[]);
        settled.chain((oldest > 0.0).then(|| format!("oldest in hand {}", span(oldest)))).collect()
    }

    fn replicas(&self) -> Vec<String> {
        let levels = self.now.by(REPLICAS, "level").into_iter().map(|(level, value)| {
            let rate = self.rate(REPLICAS, &[("level", &level)]);
            format!("{} proven by {level}{}", count(value), per_second(rate))
        });
        let lag = |samples: &Samples| {
            let at = |part| samples.quantile(LAG, part).map(span);
            Some(format!("p50 {}, p95 {}", at(0.5)?, at(0.95)?))
        };
        let all = lag(&self.now).map(|lag| format!("lag {lag}"));
        let latest = self.change.as_ref().and_then(|(growth, _)| lag(growth)).map(|lag| format!("just now {lag}"));
        levels.chain(all).chain(latest).collect()
    }

    fn copies(&self) -> Vec<String> {
        let now = |name| self.now.sum(name, &[]);
        let rate = self.rate(BYTES, &[]).map(|rate| format!(" ({}/s)", size(rate))).unwrap_or_default();
        let mut said = vec![
            format!("{} files{}", count(now(FILES)), per_second(self.rate(FILES, &[]))),
            format!("{}{rate}", size(now(BYTES))),
            format!("{} of {} requests under way", count(now(IN_FLIGHT)), count(now(WIDTH))),
        ];
        if now(BYTES_LEFT) > 0.0 {
            said.push(format!("{} left", size(now(BYTES_LEFT))));
        }
        let throttled = [("result", "throttled")];
        let rate = per_second(self.rate(REQUESTS, &throttled));
        said.push(format!("{} throttled{rate}", count(self.now.sum(REQUESTS, &throttled))));
        said
    }

    fn dead_letters(&self) -> Vec<String> {
        let codes = self.now.by_labels(DEAD_LETTERS, ["class", "code"]);
        codes.into_iter().map(|([class, code], value)| format!("{} {class} {code}", count(value))).collect()
    }

    fn named(&self, metric: &str, label: &str, say: impl Fn(&str, String) -> String) -> Vec<String> {
        self.now.by(metric, label).into_iter().map(|(text, value)| say(&text, count(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(text: &str, change: Option<Change>) -> Up {
        Up { jobs: Default::default(), samples: Samples::parse(text), change }
    }

    #[test]
    fn what_several_workers_count_is_added_up() {
        let one = "stream_replicator_messages_total{settlement=\"complete\",class=\"none\"} 3\n\
                   stream_replicator_dead_letters_total{class=\"permanent\",code=\"asset-gone\"} 1\n\
                   stream_replicator_copied_bytes_total{source=\"a\",replica=\"b\"} 1024\n";
        let other = "stream_replicator_messages_total{settlement=\"complete\",class=\"none\"} 4\n\
                     stream_replicator_messages_total{settlement=\"retry\",class=\"transient\"} 1\n\
                     stream_replicator_retries_total{tier=\"5s\"} 1\n";
        let grown = Samples::parse("stream_replicator_messages_total{settlement=\"complete\",class=\"none\"} 1\n");
        let change = Change { samples: grown, seconds: 2.0, bytes: Default::default() };
        let workers = [up(one, None), up(other, Some(change))];
        let lines = Totals::of(workers.iter()).lines();
        let lines: Vec<_> = lines.into_iter().map(|(title, said)| format!("{title}: {}", said.join("; "))).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        messages: 7 complete (0.5/s); 1 retry (0.0/s)
        replicas: 
        copies: 0 files (0.0/s); 1.00 KiB (0 B/s); 0 of 0 requests under way; 0 throttled (0.0/s)
        retries: 1 in 5s
        dead letters: 1 permanent asset-gone
        not as it should be: 
        ");
    }
}
