//! Copying between two accounts of a real Azurite behind a proxy that misbehaves.

use anyhow::{Context, Result};
use stream_replicator::model::{Blob, Difference};
use testbed::proxy::{CopyOutcome, FaultProxy, Rule};

use crate::blob_store::world::{AWKWARD_NAMES, World, options};

/// A world behind a proxy, with some blobs in a container of the source.
async fn behind_proxy() -> Result<(World, FaultProxy, String, Vec<Blob>)> {
    let direct = World::start().await?;
    let container = direct.container().await?;
    for name in AWKWARD_NAMES {
        direct.west.put(&container, name, name, options()).await?;
    }
    let azurite = direct.west.endpoint().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("azurite has an address")?).await?;
    let world = World::at(proxy.url()).await?;
    let listing = world.source.container(&container).list().await?;
    Ok((world, proxy, container, listing))
}

#[tokio::test]
async fn a_copy_that_the_service_queues_is_awaited() -> Result<()> {
    let (world, proxy, container, source) = behind_proxy().await?;
    let queued = Rule::pending_copy(Some(1), CopyOutcome::Success).header("x-ms-requires-sync").times(1);
    let queued = proxy.fault(queued);
    world.copy(&container, &source[0]).await?;
    assert_eq!(queued.hits(), 1);
    assert!(proxy.requests().iter().filter(|seen| seen.method == "HEAD").count() >= 2);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_the_service_gives_up_is_unfinished_and_replaced_by_the_next() -> Result<()> {
    for outcome in [CopyOutcome::Failed, CopyOutcome::Aborted] {
        let (world, proxy, container, source) = behind_proxy().await?;
        let blob = &source[0];
        let lost = proxy.fault(Rule::pending_copy(Some(0), outcome).header("x-ms-requires-sync"));
        let failure = world.copy(&container, blob).await.unwrap_err();
        let code = if outcome == CopyOutcome::Failed { "copy-failed" } else { "copy-aborted" };
        assert_eq!((failure.is_transient(), failure.code, lost.hits()), (true, code, 1));
        let replica = world.replica.container(&container).list().await?;
        assert_eq!(blob.difference(&replica[0]), Some(Difference::Unfinished(blob.name.clone())));

        proxy.clear_faults();
        world.copy(&container, blob).await?;
        assert_eq!(blob.difference(&world.replica.container(&container).list().await?[0]), None);
    }
    Ok(())
}
