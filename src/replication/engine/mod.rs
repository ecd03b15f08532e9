//! The copy engine: plan, schedule, copy. What runs how, when and how many at once, server-side: no blob byte passes
//! through this process.
//!
//! [`plan`] reads both sites' listings and says what is missing. [`Schedule`] says which request comes next, as one for a
//! blob or for a block of it. [`Pace`] says when it may begin: the limiter finds out how many requests at once the two
//! storage accounts take, the rate cap keeps a route's bytes per second. The requests themselves are `blob_store`'s.

mod block_ids;
mod limiter;
mod operation;
mod pace;
pub mod plan;
mod rate_cap;
mod request;
mod retry;
mod schedule;

pub use pace::Pace;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{Fuse, FutureExt};
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};

use self::limiter::Permit;
use self::plan::Task;
use self::request::Outcome;
use self::schedule::{Request, Schedule};
use super::budget::Budget;
use super::progress::Progress;
use crate::blob_store::Container;
use crate::failure::Failure;

/// So many blobs that wait for their turn are known, that the largest of them may begin first.
const READ_AHEAD: usize = 4096;

/// Copies from one container to another.
pub struct CopyEngine<'a> {
    /// Where from.
    pub from: Container,
    /// Where to.
    pub to: Container,
    /// Shared with all jobs of this route.
    pub pace: &'a Pace,
    /// Tries of one request.
    pub tries: usize,
    /// When to stop.
    pub budget: Budget,
    /// Where it is counted.
    pub progress: &'a Progress,
}

impl CopyEngine<'_> {
    /// Copies these blobs, of the large ones that are known the largest first. After the slice's end no request begins,
    /// but for the first few, so that every slice gets on; none begins after one has failed; those that have begun are
    /// waited for.
    ///
    /// # Errors
    /// `slice-spent` when time was over before the last one; the first failure of a request that was not to be mended by
    /// trying again.
    pub async fn copy_all(&self, tasks: impl Stream<Item = Result<Task, Failure>>) -> Result<(), Failure> {
        let mut tasks = pin!(tasks.peekable());
        // The first task comes after what was looked at to find it.
        tasks.as_mut().peek().await;
        let mut tasks = pin!(tasks.fuse());
        let mut run = Run {
            budget: self.budget.with_time_to_work(),
            schedule: Schedule::new(self.pace.terms()),
            begun: 0,
            is_cut_short: false,
            failed: None,
        };
        let doubt = Doubt::default();
        let mut running = FuturesUnordered::new();
        let (mut admission, mut is_admitting) = (pin!(Fuse::terminated()), false);
        loop {
            self.progress.copying(running.len());
            // What is in memory comes first: of a page of the listing the largest film begins, not the first one.
            while run.may_read()
                && let Some(Some(task)) = tasks.next().now_or_never()
            {
                run.add(task);
            }
            let may_begin = run.may_begin(self.pace);
            if is_admitting && !may_begin {
                // It would keep its place in the queue, before those of our requests that are tried again.
                admission.set(Fuse::terminated());
                (is_admitting, run.is_cut_short) = (false, true);
            }
            // Those that wait for their next try count as well.
            let has_room = running.len() < self.pace.terms().slots;
            if may_begin
                && has_room
                && !doubt.is_there()
                && !is_admitting
                && let Some(request) = run.schedule.next()
            {
                admission.set(self.admit(request).fuse());
                is_admitting = true;
            }
            tokio::select! {
                Some((request, outcome)) = running.next() => match outcome {
                    Ok(outcome) => self.count(&mut run.schedule, request, outcome),
                    Err(failure) => run.fail(failure),
                },
                (request, permit) = &mut admission, if is_admitting => {
                    is_admitting = false;
                    run.begun += 1;
                    running.push(self.perform(request, permit, run.budget, &doubt));
                },
                task = tasks.next(), if !tasks.is_done() && may_begin && run.may_read() => {
                    if let Some(task) = task {
                        run.add(task);
                    }
                }
                else => break,
            }
        }
        if let Some(failure) = run.failed {
            return Err(failure);
        }
        let is_done = !run.is_cut_short && run.schedule.is_idle() && tasks.next().await.transpose()?.is_none();
        if is_done { Ok(()) } else { Err(self.spent(run.budget)) }
    }

    async fn admit(&self, request: Request) -> (Request, Permit) {
        let permit = self.pace.admit(request.bytes()).await;
        (request, permit)
    }

    fn count(&self, schedule: &mut Schedule, request: Request, outcome: Outcome) {
        let (bytes, metrics) = (request.bytes(), self.pace.metrics());
        match (request, outcome) {
            (Request::Whole(_), Outcome::Done) => {
                metrics.copied(1, bytes);
                self.progress.copied(bytes);
            }
            (Request::Whole(task), Outcome::OnlyInBlocks) => schedule.only_in_blocks(task),
            (Request::Look(_), Outcome::Done) => self.progress.copied(0),
            (Request::Look(task), Outcome::Staged(staged)) => {
                self.progress.found(schedule.looked(task, &staged));
            }
            (Request::Stage(number, ..), _) => {
                metrics.copied(0, bytes);
                self.progress.staged(bytes);
                schedule.staged(number);
            }
            (Request::Commit(..), _) => {
                metrics.copied(1, 0);
                self.progress.copied(0);
            }
            (request, outcome) => tracing::debug!(?request, ?outcome, "a request with an outcome that it cannot have"),
        }
    }

    fn spent(&self, budget: Budget) -> Failure {
        let now = self.progress.snapshot();
        let left = now.files_total.saturating_sub(now.files_done);
        budget.spent(&format!("{} of {} files are copied, {left} are left", now.files_done, now.files_total))
    }
}

/// Whether what is asked for works at all. As long as nothing has, and a try has failed, the next tries of what has begun
/// are to tell: what cannot work is not tried for every blob.
#[derive(Debug, Default)]
struct Doubt {
    has_failed: AtomicBool,
    has_worked: AtomicBool,
}

impl Doubt {
    fn is_there(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed) && !self.has_worked.load(Ordering::Relaxed)
    }

    fn failed(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    fn worked(&self) {
        self.has_worked.store(true, Ordering::Relaxed);
    }
}

/// One run of the engine, so far.
struct Run {
    budget: Budget,
    schedule: Schedule,
    begun: usize,
    /// A request that was next did not begin.
    is_cut_short: bool,
    failed: Option<Failure>,
}

impl Run {
    fn may_read(&self) -> bool {
        self.failed.is_none() && self.schedule.waiting() < READ_AHEAD
    }

    fn may_begin(&self, pace: &Pace) -> bool {
        self.failed.is_none() && (self.begun < pace.at_least() || !self.budget.is_spent())
    }

    fn add(&mut self, task: Result<Task, Failure>) {
        match task {
            Ok(task) => self.schedule.add(task),
            Err(failure) => self.fail(failure),
        }
    }

    /// The first failure is what the run fails as.
    fn fail(&mut self, failure: Failure) {
        self.failed.get_or_insert(failure);
    }
}
