//! Copies what is missing, server-side, with a fixed number of copies at once.

use std::pin::pin;

use futures::{Stream, StreamExt, stream};

use super::budget::Budget;
use super::join::{Join, Reading};
use super::plan::{self, Manifests, Task};
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
    asset: &mut SourceAsset,
    replica: &Asset,
    storage: &Storage<'_>,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<(), Failure> {
    let content = &asset.inventory.content;
    progress.begin(content.files, content.bytes);
    let (from, to) = (storage.source(&asset.asset).await?, storage.replica(replica).await?);
    let source = asset.kept.take().map_or_else(|| Reading::of(&from), |blobs| Reading::Kept(blobs.into_iter()));
    let copier = Copier { from, to, concurrency: sites.settings.copy_concurrency, budget, progress };

    let mut later = Manifests::default();
    let join = Join::new(source, Reading::of(&copier.to));
    copier.copy_all(plan::media(join, &mut later, progress)).await?;
    if later.are_more {
        let join = Join::new(Reading::of(&copier.from), Reading::of(&copier.to));
        return copier.copy_all(plan::manifests(join)).await;
    }
    copier.copy_all(stream::iter(later.tasks.into_iter().map(Ok))).await
}

struct Copier<'a> {
    from: Container,
    to: Container,
    concurrency: usize,
    budget: Budget,
    progress: &'a Progress,
}

impl Copier<'_> {
    async fn copy_all(&self, tasks: impl Stream<Item = Result<Task, Failure>>) -> Result<(), Failure> {
        let mut tasks = pin!(tasks.peekable());
        // The first task comes after what was looked at to find it.
        tasks.as_mut().peek().await;
        let budget = self.budget.with_time_to_work();
        if budget.each(tasks, self.concurrency, |task| self.copy_one(task, budget)).await?.is_none() {
            return Ok(());
        }
        let now = self.progress.snapshot();
        let left = now.files_total.saturating_sub(now.files_done);
        Err(budget.spent(&format!("{} of {} files are copied, {left} are left", now.files_done, now.files_total)))
    }

    async fn copy_one(&self, task: Task, budget: Budget) -> Result<(), Failure> {
        let options =
            CopyOptions { is_pending: task.is_pending, until: budget.ends(), is_last_chance: budget.is_last() };
        self.to.copy_from(&self.from, &task.blob, options).await?;
        self.progress.copied(task.blob.size_bytes);
        Ok(())
    }
}
