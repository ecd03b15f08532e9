//! How far a copy has come, readable while it runs and after it has stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::model::{Compared, CopyCount};

/// The step that takes longest, and gets on file by file.
pub(super) const COPY_STEP: &str = "copy_blobs";

/// Counters of one run of a job's copy. One task writes, any number read.
#[derive(Debug, Default)]
pub struct Progress {
    files_total: AtomicU64,
    files_skipped: AtomicU64,
    files_copied: AtomicU64,
    bytes_total: AtomicU64,
    bytes_skipped: AtomicU64,
    bytes_copied: AtomicU64,
    bytes_found: AtomicU64,
    began: OnceLock<Instant>,
    took_ms: AtomicU64,
    compared: Mutex<Option<Compared>>,
    checked: Mutex<Option<Compared>>,
    steps: watch::Sender<Vec<&'static str>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Files of the asset; 0 before they are listed.
    pub files_total: u64,
    /// Files that are complete at the replica.
    pub files_done: u64,
    /// Bytes of the asset.
    pub bytes_total: u64,
    /// Bytes of it that are at the replica, also of files that are not complete yet.
    pub bytes_done: u64,
}

impl Progress {
    /// That of a run which goes on where `earlier` ones have stopped.
    #[must_use]
    pub fn after(earlier: CopyCount) -> Self {
        let (compared, checked) = (Mutex::new(earlier.compared), Mutex::new(earlier.checked));
        Self { compared, checked, ..Self::default() }
    }

    /// The counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            files_total: read(&self.files_total),
            files_done: read(&self.files_skipped) + read(&self.files_copied),
            bytes_total: read(&self.bytes_total),
            bytes_done: read(&self.bytes_skipped) + read(&self.bytes_copied) + read(&self.bytes_found),
        }
    }

    /// What this run has copied so far, and what it found there.
    #[must_use]
    pub fn count(&self) -> CopyCount {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CopyCount {
            copied_files: read(&self.files_copied),
            skipped_files: read(&self.files_skipped),
            copied_bytes: read(&self.bytes_copied),
            duration: Duration::from_millis(read(&self.took_ms)),
            compared: self.compared(),
            checked: self.checked(),
        }
    }

    /// How far bytes are compared.
    pub(super) fn compared(&self) -> Option<Compared> {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_compared(&self, compared: Option<Compared>) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = compared;
    }

    /// How far segments are checked.
    pub(super) fn checked(&self) -> Option<Compared> {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_checked(&self, checked: Option<Compared>) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = checked;
    }

    pub(super) fn begin(&self, files: u64, bytes: u64) {
        self.files_total.store(files, Ordering::Relaxed);
        self.bytes_total.store(bytes, Ordering::Relaxed);
        self.began.get_or_init(Instant::now);
    }

    /// A file was found complete at the replica.
    pub(super) fn skipped(&self, bytes: u64) {
        self.files_skipped.fetch_add(1, Ordering::Relaxed);
        self.bytes_skipped.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All files were found complete at the replica.
    pub(super) fn all_skipped(&self) {
        self.files_skipped.store(self.files_total.load(Ordering::Relaxed), Ordering::Relaxed);
        self.bytes_skipped.store(self.bytes_total.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The steps in which the job has got on, in this order.
    #[must_use]
    pub fn steps(&self) -> watch::Receiver<Vec<&'static str>> {
        self.steps.subscribe()
    }

    /// A step is done, or shows that it gets on.
    pub(super) fn got_on(&self, step: &'static str) {
        self.steps.send_if_modified(|steps| {
            let is_new = !steps.contains(&step);
            if is_new {
                steps.push(step);
            }
            is_new
        });
    }

    /// Another file is complete at the replica, by this run; its last `bytes` were copied just now.
    pub(super) fn copied(&self, bytes: u64) {
        self.files_copied.fetch_add(1, Ordering::Relaxed);
        self.staged(bytes);
    }

    /// Bytes of a file were copied, which may not be complete yet.
    pub(super) fn staged(&self, bytes: u64) {
        self.got_on(COPY_STEP);
        self.bytes_copied.fetch_add(bytes, Ordering::Relaxed);
        let took = self.began.get().map_or(Duration::ZERO, Instant::elapsed);
        self.took_ms.store(took.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes of a file that an earlier run has copied, and that is not complete yet.
    pub(super) fn found(&self, bytes: u64) {
        self.bytes_found.fetch_add(bytes, Ordering::Relaxed);
    }
}
