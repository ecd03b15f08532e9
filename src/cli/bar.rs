//! The progress bar of a copy.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::replication::{Progress, Sites};

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Draws a bar on standard error while `work` runs between these sites, where that is a terminal.
pub async fn with_bar<T>(progress: &Progress, pair: &Sites, work: impl Future<Output = T>) -> T {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let template = "{wide_bar} {msg} files  {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}  {prefix} at once";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            result = &mut work => {
                bar.finish_and_clear();
                return result;
            }
            _ = ticks.tick() => {
                let now = progress.snapshot();
                bar.set_length(now.bytes_total);
                bar.set_position(now.bytes_done);
                bar.set_prefix(pair.copies_under_way().to_string());
                bar.set_message(format!("{}/{}", now.files_done, now.files_total));
            }
        }
    }
}
