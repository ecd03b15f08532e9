//! What operators see of a running process: log lines, metrics, and whether it is ready.

mod health;
mod metrics;
mod ready_file;
mod service_manager;
pub mod traces;

pub use self::metrics::{
    Arrived, CopyMetrics, CopyOperation, CopyResult, Holding, InHand, JobInHand, Metrics, MetricsError, Part,
    Published, Standing, WorkMetrics,
};
pub use health::{Health, Liveness, Readiness, State};
pub use ready_file::ReadyFile;
pub use service_manager::ServiceManager;

use std::io::IsTerminal;

use self::traces::Traces;

use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not in tracing's syntax.
    #[error("worker.log_filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in this process has set up logging before.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] TryInitError),
}

/// Starts writing log lines to standard error, so that standard output stays for results, and the spans of traces to `traces`.
///
/// # Errors
/// When the filter is wrong, or logging was set up before.
pub fn start(format: Format, filter: &str, traces: Option<&Traces>) -> Result<(), TelemetryError> {
    let filter = EnvFilter::builder().parse(filter)?.and(filter_fn(|metadata| !traces::is_trace(metadata)));
    let registry = tracing_subscriber::registry().with(traces.map(Traces::layer));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        Format::Text => registry.with(lines.with_filter(filter)).try_init()?,
        Format::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init()?,
    }
    Ok(())
}
