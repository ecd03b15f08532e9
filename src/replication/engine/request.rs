//! One request from its first try to its last.

use std::time::Instant;

use tokio::time::sleep;

use super::block_ids::BlockPlan;
use super::limiter::Permit;
use super::operation::SizeClass;
use super::plan::Target;
use super::retry::Tries;
use super::schedule::Request;
use super::{CopyEngine, Doubt};
use crate::blob_store::{CopyOptions, StagedBlock, Whole};
use crate::failure::Failure;
use crate::replication::budget::Budget;
use crate::telemetry::CopyResult;

/// What a request came to.
#[derive(Debug)]
pub enum Outcome {
    /// It is done.
    Done,
    /// The service does not copy this blob as a whole.
    OnlyInBlocks,
    /// These blocks are staged.
    Staged(Vec<StagedBlock>),
}

impl CopyEngine<'_> {
    /// Makes a request, again and again where that may help, each time with a permit of its own.
    pub(super) async fn perform(
        &self,
        request: Request,
        permit: Permit,
        budget: Budget,
        doubt: &Doubt,
    ) -> (Request, Result<Outcome, Failure>) {
        let mut tries = Tries::new(self.tries, budget.ends());
        let (mut permit, mut taken) = (Some(permit), self.pace.state().successes);
        loop {
            let permit = match permit.take() {
                Some(permit) => permit,
                None => self.pace.readmit().await,
            };
            let (begun, metrics) = (Instant::now(), self.pace.metrics());
            self.pace.show();
            let failure = match self.make(&request, budget).await {
                Ok(outcome) => {
                    doubt.worked();
                    match request {
                        Request::Whole(_) | Request::Stage(..) => {
                            permit.done(SizeClass::of(request.bytes()), begun.elapsed());
                        }
                        // These take another time than copies do, which would be mistaken for a change.
                        Request::Look(_) | Request::Commit(..) => permit.failed(),
                    }
                    metrics.request(request.operation(), CopyResult::Ok);
                    self.pace.show();
                    return (request, Ok(outcome));
                }
                Err(failure) => failure,
            };
            if failure.is_throttled {
                metrics.request(request.operation(), CopyResult::Throttled);
                permit.throttled(failure.retry_after());
            } else {
                metrics.request(request.operation(), CopyResult::Failed);
                permit.failed();
                doubt.failed();
            }
            self.pace.show();
            let before = std::mem::replace(&mut taken, self.pace.state().successes);
            let Some(wait) = tries.next(&failure, taken > before) else {
                let failure = self.explain(failure, &request).await;
                return (request, Err(failure));
            };
            tracing::debug!(code = failure.code, ?wait, "copy request is tried again: {failure}");
            sleep(wait).await;
        }
    }

    /// The one refusal of a copy source stands for two troubles that are mended at two places: a look of our own tells them
    /// apart.
    async fn explain(&self, failure: Failure, request: &Request) -> Failure {
        if failure.code != "source-denied" {
            return failure;
        }
        match self.from.is_readable(&request.task().blob.name).await {
            Some(true) => failure.with_hint(
                "this worker can read the blob with the same credential, so it is the source account's firewall that keeps \
                 out the replica's storage service: let that in (the worker's address does not matter here)",
            ),
            Some(false) => failure.with_hint(
                "this worker cannot read the blob either: the source account's key or SAS is wrong or has been rolled, or \
                 its firewall keeps everybody out",
            ),
            None => failure,
        }
    }

    async fn make(&self, request: &Request, budget: Budget) -> Result<Outcome, Failure> {
        let (from, to, blob) = (&self.from, &self.to, &request.task().blob);
        let options = || CopyOptions {
            is_pending: request.task().target == Target::PendingCopy,
            until: budget.ends(),
            is_last_chance: budget.is_last(),
        };
        match request {
            Request::Whole(_) => Ok(match to.copy_whole(from, blob, options()).await? {
                Whole::Done => Outcome::Done,
                Whole::OnlyInBlocks => Outcome::OnlyInBlocks,
            }),
            // Nothing can be staged for a blob onto which a copy is under way.
            Request::Look(task)
                if task.target == Target::PendingCopy && to.adopt_copy(from, blob, options()).await? =>
            {
                Ok(Outcome::Done)
            }
            Request::Look(_) => {
                let staged = to.staged_blocks(&blob.name).await?;
                if !BlockPlan::are_in_the_way(&staged) {
                    return Ok(Outcome::Staged(staged));
                }
                // Only a commit without them drops them.
                to.empty(from, blob).await?;
                Ok(Outcome::Staged(Vec::new()))
            }
            Request::Stage(_, _, block) => to.stage_block(from, blob, block).await.map(|()| Outcome::Done),
            Request::Commit(_, _, ids) => to.commit_blocks(from, blob, ids.clone()).await.map(|()| Outcome::Done),
        }
    }
}
