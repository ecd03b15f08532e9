//! Every metric in one table. Names and units as Prometheus has them ("Metric and label naming"); no label holds an asset's id
//! or a file's name.

mod copies;
mod in_hand;
mod work;

pub use copies::{CopyMetrics, CopyOperation, CopyResult};
pub use in_hand::{Arrived, Holding, InHand, JobInHand, Standing};
pub use work::{Part, Published, WorkMetrics};

use metrics::{SetRecorderError, Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const COPY_REQUESTS: &str = "stream_replicator_copy_requests_total";
const COPIED_BYTES: &str = "stream_replicator_copied_bytes_total";
const COPIED_FILES: &str = "stream_replicator_copied_files_total";
const COPY_IN_FLIGHT: &str = "stream_replicator_copy_requests_in_flight";
const COPY_WIDTH: &str = "stream_replicator_copy_width";
const COPY_BYTES_LEFT: &str = "stream_replicator_copy_bytes_left";
const COPY_FILES_LEFT: &str = "stream_replicator_copy_files_left";
const LAG: &str = "stream_replicator_replication_lag_seconds";
const PART: &str = "stream_replicator_replication_part_seconds";
const REPLICAS: &str = "stream_replicator_replicas_total";
const MESSAGES: &str = "stream_replicator_messages_total";
const IN_FLIGHT: &str = "stream_replicator_messages_in_flight";
const OLDEST: &str = "stream_replicator_oldest_message_age_seconds";
const RETRIES: &str = "stream_replicator_retries_total";
const DEAD_LETTERS: &str = "stream_replicator_dead_letters_total";
const IGNORED: &str = "stream_replicator_ignored_total";
const PUBLISHES: &str = "stream_replicator_publishes_total";
const CONNECTED: &str = "stream_replicator_broker_connected";
const BLOCKED: &str = "stream_replicator_broker_blocked";
const FAILURES: &str = "stream_replicator_verification_failures_total";
const BUILD: &str = "stream_replicator_build_info";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// All of them. Those of copies, lag and replicas are told for every route: labels `source` and `replica`.
const TABLE: [(&str, Kind, Unit, &str); 21] = [
    (
        COPY_REQUESTS,
        Kind::Counter,
        Unit::Count,
        "Copy requests, by operation (whole, look, block, commit) and result (ok, throttled by the storage, failed).",
    ),
    (COPIED_BYTES, Kind::Counter, Unit::Bytes, "Bytes copied, also of files that are not complete yet."),
    (COPIED_FILES, Kind::Counter, Unit::Count, "Files copied."),
    (COPY_IN_FLIGHT, Kind::Gauge, Unit::Count, "Copy requests under way."),
    (COPY_WIDTH, Kind::Gauge, Unit::Count, "Copy requests that may be under way at once, as far as is known."),
    (COPY_BYTES_LEFT, Kind::Gauge, Unit::Bytes, "Bytes that running copies have still to copy."),
    (COPY_FILES_LEFT, Kind::Gauge, Unit::Count, "Files that running copies have still to copy."),
    (
        LAG,
        Kind::Histogram,
        Unit::Seconds,
        "From the end of encoding, as the message tells it, to the stored event, of each replica.",
    ),
    (
        PART,
        Kind::Histogram,
        Unit::Seconds,
        "What the lag is made of, by part (queue_wait, control_plane, bytes, verification); of each run of a job.",
    ),
    (REPLICAS, Kind::Counter, Unit::Count, "Replicas announced, by level of verification (manifest, playback)."),
    (
        MESSAGES,
        Kind::Counter,
        Unit::Count,
        "Deliveries, by what became of them (settlement) and the kind of failure behind that (class, none where all went well).",
    ),
    (IN_FLIGHT, Kind::Gauge, Unit::Count, "Deliveries in hand."),
    (OLDEST, Kind::Gauge, Unit::Seconds, "How long ago a worker first saw the oldest of the deliveries in hand."),
    (RETRIES, Kind::Counter, Unit::Count, "Messages sent to a retry queue, by its delay (tier)."),
    (DEAD_LETTERS, Kind::Counter, Unit::Count, "Dead letters and parked messages, by class and code."),
    (IGNORED, Kind::Counter, Unit::Count, "Messages that were not for us, by reason."),
    (PUBLISHES, Kind::Counter, Unit::Count, "Publishes, by result (confirmed, unroutable, rejected, unconfirmed)."),
    (CONNECTED, Kind::Gauge, Unit::Count, "1 while the worker has a session with its broker."),
    (BLOCKED, Kind::Gauge, Unit::Count, "1 while the broker blocks the connection by an alarm."),
    (FAILURES, Kind::Counter, Unit::Count, "Runs in which a replica was not what it should be, by step and code."),
    (BUILD, Kind::Gauge, Unit::Count, "1, with the version of the program."),
];

/// Upper ends of all buckets, in seconds: from what a small asset takes to the deadline of a day.
const BUCKETS: [f64; 16] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0];

/// The metrics of this process, for those who show them. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Why nothing is counted.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The buckets are wrong.
    #[error("metrics cannot be set up: {0}")]
    Build(#[from] BuildError),
    /// This process counts already.
    #[error("metrics were set up twice")]
    Twice(#[from] SetRecorderError<PrometheusRecorder>),
}

impl Metrics {
    /// Counts from now on; whatever was made before counts nothing.
    ///
    /// # Errors
    /// When this process counts already.
    pub fn start() -> Result<Self, MetricsError> {
        let all_seconds = Matcher::Suffix("_seconds".to_owned());
        let recorder = PrometheusBuilder::new().set_buckets_for_metric(all_seconds, &BUCKETS)?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)?;
        for (name, kind, unit, help) in TABLE {
            match kind {
                Kind::Counter => describe_counter!(name, unit, help),
                Kind::Gauge => describe_gauge!(name, unit, help),
                Kind::Histogram => describe_histogram!(name, unit, help),
            }
        }
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Self(handle))
    }

    /// All of them in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_name_that_says_its_unit() {
        for (name, kind, unit, help) in TABLE {
            assert!(name.starts_with("stream_replicator_") && help.ends_with('.'), "{name}: {help}");
            assert_eq!(name.ends_with("_total"), matches!(kind, Kind::Counter), "{name}");
            assert_eq!(name.contains("bytes"), unit == Unit::Bytes, "{name}");
            assert_eq!(name.ends_with("_seconds"), unit == Unit::Seconds, "{name}");
        }
        assert!(BUCKETS.is_sorted());
    }
}
