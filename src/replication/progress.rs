//! How far a copy has come, readable while it runs and after it has stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::model::{Compared, CopyCount};
use crate::telemetry::Standing;

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
    now: Mutex<&'static str>,
    copy_requests: AtomicU64,
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

    /// What is being done from now on; the steps of a replication tell it by themselves.
    pub fn at(&self, step: &'static str) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = step;
        // those of a copy that was dropped
        self.copying(0);
    }

    /// What is being done, how far that has come, and how fast this run has copied.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let step = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, took) = (self.snapshot(), self.took(step == COPY_STEP));
        let copied = self.bytes_copied.load(Ordering::Relaxed);
        Standing {
            step,
            files_done: now.files_done,
            files_total: now.files_total,
            bytes_done: now.bytes_done,
            bytes_total: now.bytes_total,
            bytes_per_second: if took.is_zero() { 0 } else { (copied as f64 / took.as_secs_f64()) as u64 },
            copy_requests: self.copy_requests.load(Ordering::Relaxed),
        }
    }

    /// For how long this run has copied: until now, or until its last byte.
    fn took(&self, is_copying: bool) -> Duration {
        match self.began.get() {
            Some(began) if is_copying => began.elapsed(),
            _ => Duration::from_millis(self.took_ms.load(Ordering::Relaxed)),
        }
    }

    /// So many requests of this copy are under way, those included that wait for their next try.
    pub(super) fn copying(&self, requests: usize) {
        self.copy_requests.store(requests as u64, Ordering::Relaxed);
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
