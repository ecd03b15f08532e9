//! What is counted of copies from one site to another.

use metrics::{Counter, Gauge, counter, gauge};

use super::{COPIED_BYTES, COPIED_FILES, COPY_BYTES_LEFT, COPY_FILES_LEFT, COPY_IN_FLIGHT, COPY_REQUESTS, COPY_WIDTH};

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
    fn without_anybody_who_looks_counting_does_nothing() {
        let metrics = CopyMetrics::of("west", "east");
        metrics.request(CopyOperation::Whole, CopyResult::Throttled);
        metrics.copied(1, 10);
    }
}
