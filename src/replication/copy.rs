//! Copies what is missing: media first, then the playlists that name them, then what players begin with.

use futures::stream;

use super::budget::Budget;
use super::engine::CopyEngine;
use super::engine::plan::{self, ByName, Manifests, Order, Turn};
use super::join::Join;
use super::progress::Progress;
use super::report::tell_while;
use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use super::verify::verify_media;
use crate::blob_store::Container;
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
    if asset.already.is_some() {
        progress.all_skipped();
        return Ok(());
    }
    let (from, to) = (storage.source(&asset.asset).await?, storage.replica(replica).await?);
    let known = match asset.known.take() {
        Some(known) => known.join(&from, &to),
        None => Join::to_copy(&from, &to),
    };
    copy_containers(from, to, known, &ByName, sites, budget, progress).await
}

/// Copies what is missing from one container to another, as `known` tells of both.
pub async fn copy_containers(
    from: Container,
    to: Container,
    known: Join,
    order: &dyn Order,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<(), Failure> {
    let engine = CopyEngine { from, to, pace: &sites.pace, tries: sites.copy_tries, budget, progress };

    tell_while(progress, &sites.pace, copy_in_order(&engine, known, order, sites)).await
}

/// Manifests last, so that no player ever sees one whose media are missing or wrong.
async fn copy_in_order(engine: &CopyEngine<'_>, known: Join, order: &dyn Order, sites: &Sites) -> Result<(), Failure> {
    let mut later = Manifests::default();
    engine.copy_all(plan::media(known, order, &mut later, engine.progress)).await?;
    if later.tasks.is_empty() {
        return Ok(());
    }
    verify_media(&engine.from, &engine.to, order, sites).await?;
    for turn in [Turn::Playlist, Turn::Master] {
        if later.are_more {
            let join = Join::to_copy(&engine.from, &engine.to);
            engine.copy_all(plan::manifests(join, order, turn)).await?;
        } else {
            let of_turn = later.tasks.extract_if(.., |task| order.turn(&task.blob.name) == turn);
            engine.copy_all(stream::iter(of_turn.map(Ok))).await?;
        }
    }
    Ok(())
}
