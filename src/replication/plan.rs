//! What to copy and in which order. Pure: two listings in, a plan out.

use crate::model::{Blob, CopyStatus, Listing};

/// What to copy, in order.
#[derive(Debug, PartialEq)]
pub struct Plan<'a> {
    /// Media first, the largest first, so that the longest copy does not begin last.
    pub media: Vec<Task<'a>>,
    /// Manifests after all media are there, so that no player ever sees one whose media are missing.
    pub manifests: Vec<Task<'a>>,
    /// How many blobs are complete and identical already.
    pub skipped_files: u64,
    /// Sum of their sizes in bytes.
    pub skipped_bytes: u64,
}

/// One blob to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    /// As the source has it.
    pub blob: &'a Blob,
    /// A copy onto it is under way.
    pub is_pending: bool,
}

/// How a blob of the source stands at the replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Pending,
    Complete,
}

/// Compares the source's listing with the replica's blobs, of which it keeps none.
#[derive(Debug)]
pub struct Planner<'a> {
    source: &'a Listing,
    states: Vec<State>,
}

impl<'a> Planner<'a> {
    /// Nothing is at the replica yet.
    pub fn new(source: &'a Listing) -> Self {
        Self { source, states: vec![State::Missing; source.blobs().len()] }
    }

    /// Takes note of a blob of the replica.
    pub fn see(&mut self, copy: &Blob) {
        let Some(at) = self.source.position(&copy.name) else { return };
        if self.source.blobs()[at].is_complete_in(copy) {
            self.states[at] = State::Complete;
        } else if copy.copy_status == Some(CopyStatus::Pending) {
            self.states[at] = State::Pending;
        }
    }

    /// What is left to do.
    pub fn plan(self) -> Plan<'a> {
        let mut plan = Plan { media: Vec::new(), manifests: Vec::new(), skipped_files: 0, skipped_bytes: 0 };
        for (blob, state) in self.source.blobs().iter().zip(self.states) {
            if state == State::Complete {
                plan.skipped_files += 1;
                plan.skipped_bytes += blob.size_bytes;
                continue;
            }
            let tasks = if is_manifest(&blob.name) { &mut plan.manifests } else { &mut plan.media };
            tasks.push(Task { blob, is_pending: state == State::Pending });
        }
        plan.media.sort_by_key(|task| std::cmp::Reverse(task.blob.size_bytes));
        plan
    }
}

fn is_manifest(name: &str) -> bool {
    const ENDINGS: [&str; 4] = [".ism", ".ismc", ".mpd", ".m3u8"];
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::BlobKind;

    fn blob(name: &str, size_bytes: u64) -> Blob {
        Blob {
            name: name.into(),
            size_bytes,
            kind: BlobKind::Block,
            etag: "\"1\"".into(),
            last_modified: None,
            properties: Arc::default(),
            content_md5: Some([7; 16]),
            metadata: BTreeMap::new(),
            copy_status: None,
        }
    }

    fn names<'a>(tasks: &[Task<'a>]) -> Vec<(&'a str, bool)> {
        tasks.iter().map(|task| (task.blob.name.as_str(), task.is_pending)).collect()
    }

    #[test]
    fn large_media_first_manifests_last_complete_ones_not_at_all() {
        let source = Listing::new(vec![
            blob("a.mp4", 1),
            blob("b.mp4", 9),
            blob("m.ISM", 99),
            blob("t.jpg", 0),
            blob("x.mp4", 5),
        ]);
        let mut planner = Planner::new(&source);
        let pending = Blob { copy_status: Some(CopyStatus::Pending), ..blob("a.mp4", 1) };
        for copy in [blob("x.mp4", 5), blob("stray.mp4", 1), pending, blob("b.mp4", 2)] {
            planner.see(&copy);
        }
        let plan = planner.plan();
        assert_eq!(names(&plan.media), [("b.mp4", false), ("a.mp4", true), ("t.jpg", false)]);
        assert_eq!(names(&plan.manifests), [("m.ISM", false)]);
        assert_eq!((plan.skipped_files, plan.skipped_bytes), (1, 5));
    }
}
