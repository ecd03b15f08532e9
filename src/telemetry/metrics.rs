//! Every metric in one table, and what changes them. Names and units as Prometheus has them ("Metric and label naming"); no
//! label holds an asset's id or a file's name.

use metrics::{Counter, Gauge, SetRecorderError, Unit, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const COPY_REQUESTS: &str = "stream_replicator_copy_requests_total";
const COPIED_BYTES: &str = "stream_replicator_copied_bytes_total";
const COPIED_FILES: &str = "stream_replicator_copied_files_total";
const COPY_IN_FLIGHT: &str = "stream_replicator_copy_requests_in_flight";
const COPY_WIDTH: &str = "stream_replicator_copy_width";
const COPY_BYTES_LEFT: &str = "stream_replicator_copy_bytes_left";
const COPY_FILES_LEFT: &str = "stream_replicator_copy_files_left";

#[derive(Debug, Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// All of them. Each is told for every route: labels `source` and `replica`.
const TABLE: [(&str, Kind, Unit, &str); 7] = [
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
];

/// The metrics of this process, for those who show them. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Counts from now on; whatever was made before counts nothing.
    ///
    /// # Errors
    /// When this process counts already.
    pub fn start() -> Result<Self, SetRecorderError<PrometheusRecorder>> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)?;
        for (name, kind, unit, help) in TABLE {
            match kind {
                Kind::Counter => describe_counter!(name, unit, help),
                Kind::Gauge => describe_gauge!(name, unit, help),
            }
        }
        Ok(Self(handle))
    }

    /// All of them in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// What a copy request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyOperation {
    /// A whole blob.
    Whole,
    /// Which blocks are there.
    Look,
    /// One block.
    Block,
    /// Making a blob of its blocks.
    Commit,
}

/// What a copy request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyResult {
    /// It went well.
    Ok,
    /// Refused as one too many.
    Throttled,
    /// Anything else.
    Failed,
}

impl CopyOperation {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Whole, "whole"), (Self::Look, "look"), (Self::Block, "block"), (Self::Commit, "commit")];
}

impl CopyResult {
    const ALL: [(Self, &'static str); 3] = [(Self::Ok, "ok"), (Self::Throttled, "throttled"), (Self::Failed, "failed")];
}

/// The metrics of copies from one site to another. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CopyMetrics {
    requests: Vec<(CopyOperation, CopyResult, Counter)>,
    bytes: Counter,
    files: Counter,
    in_flight: Gauge,
    width: Gauge,
    bytes_left: Gauge,
    files_left: Gauge,
}

impl CopyMetrics {
    /// Those of this route.
    #[must_use]
    pub fn of(source: &str, replica: &str) -> Self {
        let route = [("source", source.to_owned()), ("replica", replica.to_owned())];
        let request = |(operation, operation_name): (CopyOperation, &'static str), (result, result_name)| {
            let [source, replica] = route.clone();
            let labels =
                [source, replica, ("operation", operation_name.to_owned()), ("result", str::to_owned(result_name))];
            (operation, result, counter!(COPY_REQUESTS, &labels))
        };
        let requests = CopyOperation::ALL
            .into_iter()
            .flat_map(|operation| CopyResult::ALL.map(|result| request(operation, result)))
            .collect();
        Self {
            requests,
            bytes: counter!(COPIED_BYTES, &route),
            files: counter!(COPIED_FILES, &route),
            in_flight: gauge!(COPY_IN_FLIGHT, &route),
            width: gauge!(COPY_WIDTH, &route),
            bytes_left: gauge!(COPY_BYTES_LEFT, &route),
            files_left: gauge!(COPY_FILES_LEFT, &route),
        }
    }

    /// A request has ended.
    pub fn request(&self, operation: CopyOperation, result: CopyResult) {
        let is_it = |(one, other, _): &&(CopyOperation, CopyResult, Counter)| *one == operation && *other == result;
        if let Some((_, _, counter)) = self.requests.iter().find(is_it) {
            counter.increment(1);
        }
    }

    /// So many requests are under way, and so many may be.
    pub fn requests_at_once(&self, in_flight: usize, width: usize) {
        self.in_flight.set(in_flight as f64);
        self.width.set(width as f64);
    }

    /// Bytes were copied, and with them so many files made complete.
    pub fn copied(&self, files: u64, bytes: u64) {
        self.files.increment(files);
        self.bytes.increment(bytes);
    }

    /// Running copies have so much more left than before; negative where they have got on.
    pub fn left_changed(&self, files: i64, bytes: i64) {
        self.files_left.increment(files as f64);
        self.bytes_left.increment(bytes as f64);
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
        }
    }

    #[test]
    fn without_anybody_who_looks_counting_does_nothing() {
        let metrics = CopyMetrics::of("west", "east");
        metrics.request(CopyOperation::Whole, CopyResult::Throttled);
        metrics.copied(1, 10);
    }
}
