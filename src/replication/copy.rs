//! Copies what is missing, server-side, with a fixed number of copies at once.

use super::budget::Budget;
use super::plan::{Planner, Task};
use super::progress::Progress;
use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use crate::blob_store::{Container, CopyOptions};
use crate::failure::Failure;
use crate::model::Asset;

/// Does: copies every blob that is missing or not identical at the replica, manifests last, until the slice is spent.
/// Safe to repeat because: what is complete is skipped, and a copy replaces its target as a whole.
/// Fails as: `NeedsMoreTime` when the slice is spent, `Transient` for a copy that failed or a source that changed.
pub async fn copy_blobs(
    asset: &SourceAsset,
    replica: &Asset,
    storage: &Storage<'_>,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<(), Failure> {
    let source = &asset.listing;
    let mut copier = Copier {
        from: storage.source(&asset.asset).await?,
        to: storage.replica(replica).await?,
        concurrency: sites.settings.copy_concurrency,
        budget,
        progress,
    };
    let mut planner = Planner::new(source);
    copier.to.for_each_blob(|copy| planner.see(&copy)).await?;
    let plan = planner.plan();
    copier.budget = budget.with_time_to_work();
    progress.begin(source.blobs().len() as u64, source.bytes(), plan.skipped_files, plan.skipped_bytes);
    for phase in [&plan.media, &plan.manifests] {
        copier.copy_all(phase).await?;
    }
    Ok(())
}

struct Copier<'a> {
    from: Container,
    to: Container,
    concurrency: usize,
    budget: Budget,
    progress: &'a Progress,
}

impl Copier<'_> {
    async fn copy_all(&self, tasks: &[Task<'_>]) -> Result<(), Failure> {
        let not_begun = self.budget.each(tasks.iter(), self.concurrency, |task| self.copy_one(task)).await?;
        if not_begun == 0 {
            return Ok(());
        }
        let now = self.progress.snapshot();
        let left = now.files_total.saturating_sub(now.files_done);
        Err(self.budget.spent(&format!("{} of {} files are copied, {left} are left", now.files_done, now.files_total)))
    }

    async fn copy_one(&self, task: &Task<'_>) -> Result<(), Failure> {
        let options = CopyOptions {
            is_pending: task.is_pending,
            until: self.budget.ends(),
            is_last_chance: self.budget.is_last(),
        };
        self.to.copy_from(&self.from, task.blob, options).await?;
        self.progress.copied(task.blob.size_bytes);
        Ok(())
    }
}
