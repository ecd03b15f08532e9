//! What a replica must be: one asset, one locator, the same files and blobs as its source.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use testbed::storage::BlobInfo;

use super::{Published, World, eventually};

/// The one metadata key that the worker adds.
pub const OUR_KEY: &str = "stream_replicator_source_etag";
/// The streaming kind of locator on the wire.
const ORIGIN: i64 = 2;

/// A registered file without its id.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DescribedFile {
    pub name: String,
    pub size: i64,
    pub is_primary: bool,
    pub mime_type: Option<String>,
}

/// The files of an asset in name order.
pub fn described_files(world: &World, site: &str, asset_id: &str) -> Vec<DescribedFile> {
    let described = |file: testbed::emulator::AssetFile| DescribedFile {
        name: file.name,
        size: file.size,
        is_primary: file.is_primary,
        mime_type: file.mime_type,
    };
    let mut files: Vec<_> = world.site(site).files(asset_id).into_iter().map(described).collect();
    files.sort();
    files
}

/// The container of an asset.
pub fn container_of(world: &World, site: &str, asset_id: &str) -> Result<String> {
    let asset = world.site(site).assets().into_iter().find(|asset| asset.id == asset_id);
    Ok(asset.context("no such asset")?.container)
}

/// What must be equal on both sites.
pub fn comparable(blobs: Vec<BlobInfo>) -> Vec<String> {
    let line = |mut blob: BlobInfo| {
        blob.metadata.remove(OUR_KEY);
        let properties = [
            blob.content_md5,
            blob.content_type,
            blob.cache_control,
            blob.content_encoding,
            blob.content_language,
            blob.content_disposition,
        ];
        format!("{} {} {properties:?} {:?} {}", blob.name, blob.size, blob.metadata, blob.blob_type)
    };
    blobs.into_iter().map(line).collect()
}

/// Checks that `east` has one asset, which is the whole and only replica of `asset_id`: equal blobs, equal files, and one
/// streaming locator with the id and the validity of the source's only one. Gives the replica's id.
pub async fn ensure_one_replica(world: &World, asset_id: &str) -> Result<String> {
    let (west, east) = (world.site("west"), world.site("east"));
    let assets = east.assets();
    let [asset] = assets.as_slice() else { anyhow::bail!("not one asset at east: {assets:?}") };
    let mark = format!("stream-replicator/1 west {asset_id}");
    ensure!(asset.alternate_id.as_deref().is_some_and(|text| text.starts_with(&mark)), "not ours: {asset:?}");

    let container = container_of(world, "west", asset_id)?;
    let ours = world.storage("west")?.list(&container).await?.context("no source container")?;
    let theirs = world.storage("east")?.list(&asset.container).await?.context("no replica container")?;
    let (ours, theirs) = (comparable(ours), comparable(theirs));
    ensure!(ours == theirs, "blobs differ: {ours:#?} {theirs:#?}");
    let (ours, theirs) = (described_files(world, "west", asset_id), described_files(world, "east", &asset.id));
    ensure!(ours == theirs, "files differ: {ours:#?} {theirs:#?}");

    let (source, replica) = (west.locators(asset_id), east.locators(&asset.id));
    let ([source], [replica]) = (source.as_slice(), replica.as_slice()) else {
        anyhow::bail!("not one locator at each site: {source:?} {replica:?}")
    };
    ensure!((source.kind, replica.kind) == (ORIGIN, ORIGIN) && source.uuid == replica.uuid, "{source:?} {replica:?}");
    ensure!((source.start, source.expires) == (replica.start, replica.expires), "{source:?} {replica:?}");
    Ok(asset.id.clone())
}

/// Checks that `east` has one replica of each of these assets and nothing else, each with the same blobs as its source and
/// published under its locator alone.
pub async fn ensure_each_replicated(world: &World, assets: &[Published]) -> Result<()> {
    let (east, replicas) = (world.site("east"), world.site("east").assets());
    ensure!(replicas.len() == assets.len(), "{} replicas of {} assets", replicas.len(), assets.len());
    let sources: BTreeMap<_, _> =
        world.site("west").assets().into_iter().map(|asset| (asset.id, asset.container)).collect();
    let (ours, theirs) = (&world.storage("west")?, &world.storage("east")?);
    let mut checks = Vec::new();
    for asset in assets {
        let mark = format!("stream-replicator/1 west {}\n", asset.id);
        let is_its = |text: &str| text.starts_with(&mark);
        let replica = replicas.iter().find(|replica| replica.alternate_id.as_deref().is_some_and(is_its));
        let replica = replica.with_context(|| format!("no replica of {}", asset.id))?;
        let locators: Vec<_> = east.locators(&replica.id).into_iter().map(|locator| locator.uuid).collect();
        ensure!(locators == [asset.locator.as_str()], "{locators:?} instead of {}", asset.locator);
        let source = sources.get(&asset.id).context("no such asset")?;
        checks.push(async move {
            let ours = comparable(ours.list(source).await?.context("no source container")?);
            let theirs = comparable(theirs.list(&replica.container).await?.context("no replica container")?);
            ensure!(ours == theirs, "blobs differ: {ours:#?} {theirs:#?}");
            Ok(())
        });
    }
    stream::iter(checks).buffer_unordered(8).try_collect().await
}

/// Waits until the broker knows that no worker is left: from then on all that they held is in its queue again. It learns
/// that only after their end, and of a connection that was left half open when heartbeats are missing.
pub async fn workers_are_gone(world: &World) -> Result<()> {
    let consumers = || async { Ok((world.vhost.consumers("replication.work").await? == Some(0)).then_some(())) };
    eventually("no consumer", consumers).await
}

/// Checks that no queue of the worker holds a message, parked and dead ones included.
pub async fn ensure_queues_empty(world: &World) -> Result<()> {
    ensure_nothing_to_do(world).await?;
    ensure_empty(world, &["dead", "parked"]).await
}

/// Checks that no message is to be worked on, now or later.
pub async fn ensure_nothing_to_do(world: &World) -> Result<()> {
    ensure_empty(world, &["retry.1s", "retry.2s", "work"]).await
}

async fn ensure_empty(world: &World, queues: &[&str]) -> Result<()> {
    for queue in queues {
        let depth = world.vhost.queue_depth(&format!("replication.{queue}")).await?;
        ensure!(depth == Some(0), "queue {queue} has {depth:?}");
    }
    Ok(())
}
