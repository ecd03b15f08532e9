//! Tells in the log how far a long copy is.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval, interval_at};

use super::engine::Pace;
use super::progress::{Progress, Snapshot};
use crate::telemetry::CopyMetrics;

/// How often.
const EVERY: Duration = Duration::from_secs(30);

/// How often the metrics are told what is left.
const LOOK: Duration = Duration::from_secs(1);

/// What a copy has told the metrics that it has left; nothing, once it has ended, however it does.
struct Left<'a> {
    metrics: &'a CopyMetrics,
    files: i64,
    bytes: i64,
}

impl<'a> Left<'a> {
    fn of(metrics: &'a CopyMetrics) -> Self {
        Self { metrics, files: 0, bytes: 0 }
    }

    fn show(&mut self, now: Snapshot) {
        let left = |total: u64, done: u64| i64::try_from(total.saturating_sub(done)).unwrap_or(i64::MAX);
        self.tell(left(now.files_total, now.files_done), left(now.bytes_total, now.bytes_done));
    }

    fn tell(&mut self, files: i64, bytes: i64) {
        self.metrics.left_changed(files - self.files, bytes - self.bytes);
        (self.files, self.bytes) = (files, bytes);
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.tell(0, 0);
    }
}

/// Does `work`; while it takes long, a line is logged now and then, and the metrics tell what is left.
pub async fn tell_while<T>(progress: &Progress, pace: &Pace, work: impl Future<Output = T>) -> T {
    let (mut work, mut before) = (pin!(work), progress.snapshot());
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    let (mut left, mut looks) = (Left::of(pace.metrics()), interval(LOOK));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = looks.tick() => left.show(progress.snapshot()),
            _ = ticks.tick() => {
                let now = progress.snapshot();
                tell(before, now, pace);
                before = now;
            }
        }
    }
}

fn tell(before: Snapshot, now: Snapshot, pace: &Pace) {
    let (rate, state) = (rate(before, now, EVERY), pace.state());
    tracing::info!(
        files = now.files_done,
        of_files = now.files_total,
        bytes = now.bytes_done,
        of_bytes = now.bytes_total,
        mib_per_second = format!("{:.1}", rate.mib_per_second),
        files_per_second = format!("{:.1}", rate.files_per_second),
        eta_seconds = rate.eta_seconds,
        requests = state.in_flight,
        width = state.width,
        throttles = state.throttles,
        "copying"
    );
}

#[derive(Debug, PartialEq)]
struct Rate {
    mib_per_second: f64,
    files_per_second: f64,
    /// `None` while nothing moves.
    eta_seconds: Option<u64>,
}

/// What is left takes as long as files or bytes need at the rate of just now, whichever is more.
fn rate(before: Snapshot, now: Snapshot, seconds: Duration) -> Rate {
    let per_second = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds.as_secs_f64();
    let (files, bytes) = (per_second(before.files_done, now.files_done), per_second(before.bytes_done, now.bytes_done));
    let time = |left: u64, rate: f64| if left == 0 { 0.0 } else { left as f64 / rate };
    let left = time(now.files_total.saturating_sub(now.files_done), files)
        .min(f64::INFINITY)
        .max(time(now.bytes_total.saturating_sub(now.bytes_done), bytes));
    // Files are not done for a while where they are large: then bytes alone tell.
    let left = if left.is_finite() { left } else { time(now.bytes_total.saturating_sub(now.bytes_done), bytes) };
    Rate {
        mib_per_second: bytes / f64::from(1 << 20),
        files_per_second: files,
        eta_seconds: left.is_finite().then(|| left.ceil() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(files_done: u64, mib_done: u64) -> Snapshot {
        Snapshot { files_total: 100, files_done, bytes_total: 1000 << 20, bytes_done: mib_done << 20 }
    }

    #[test]
    fn what_takes_longer_counts() {
        let ten = Duration::from_secs(10);
        let rate = |before, now| rate(before, now, ten);
        assert_eq!(
            rate(snapshot(0, 0), snapshot(10, 500)),
            Rate { mib_per_second: 50.0, files_per_second: 1.0, eta_seconds: Some(90) }
        );
        assert_eq!(rate(snapshot(0, 0), snapshot(90, 100)).eta_seconds, Some(90));
        assert_eq!(rate(snapshot(5, 100), snapshot(5, 200)).eta_seconds, Some(80), "large files take a while");
        assert_eq!(rate(snapshot(5, 100), snapshot(5, 100)).eta_seconds, None);
        assert_eq!(rate(snapshot(90, 900), snapshot(100, 1000)).eta_seconds, Some(0));
    }
}
