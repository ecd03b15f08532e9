//! `copy`: containers without broker and media service, and what a second run of it costs.

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::proxy::{FaultProxy, Rule, Seen};
use testbed::storage::PutOptions;
use uuid::Uuid;

use crate::support::{World, run_once};

const FILES: usize = 40;

/// A container of some files at `west`.
async fn container(world: &World) -> Result<String> {
    let (storage, name) = (world.storage("west")?, format!("films-{}", Uuid::new_v4()));
    storage.create_container(&name).await?;
    for number in 0..FILES {
        let options = PutOptions { content_type: Some("video/mp4".into()), ..PutOptions::default() };
        storage.put(&name, &format!("folder/{number:03}.mp4"), format!("film {number}"), options).await?;
    }
    storage.put(&name, "index.m3u8", "#EXTM3U", PutOptions::default()).await?;
    Ok(name)
}

async fn copy(world: &World, containers: &[&str]) -> Result<(Vec<Value>, String, Option<i32>)> {
    let output = run_once(&world.config(), &[&["copy", "west", "east", "--json"], containers].concat()).await?;
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((lines, String::from_utf8(output.stderr)?, output.status.code()))
}

#[tokio::test]
async fn a_second_run_lists_each_site_once_and_copies_nothing() -> Result<()> {
    let world = World::start().await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("no address")?).await?;
    world.write_config_with_blob_url(&["west", "east"], "", proxy.url())?;
    let name = container(&world).await?;
    let renamed = format!("{name}:{name}-copy");
    let (first, errors, code) = copy(&world, &[&name, &renamed]).await?;
    assert_eq!((first.len(), code), (2, Some(0)), "{errors}");
    let files = (FILES + 1) as u64;
    for line in &first {
        assert_eq!((line["files"].as_u64(), line["copiedFiles"].as_u64()), (Some(files), Some(files)), "{line}");
    }
    let list = async |site: &str, name: &str| {
        let blobs = world.storage(site)?.list(name).await?.context("no container")?;
        anyhow::Ok(blobs.into_iter().map(|blob| (blob.name, blob.size, blob.content_type)).collect::<Vec<_>>())
    };
    assert_eq!(list("east", &name).await?, list("west", &name).await?);
    assert_eq!(list("east", &format!("{name}-copy")).await?, list("west", &name).await?);

    let before = proxy.requests().len();
    let (second, errors, code) = copy(&world, &[&name]).await?;
    assert_eq!((second[0]["copiedFiles"].as_u64(), code), (Some(0), Some(0)), "{errors}");
    let made: Vec<Seen> = proxy.requests().into_iter().skip(before).collect();
    let is_list = |seen: &&Seen| seen.target.contains("comp=list");
    assert_eq!((made.iter().filter(is_list).count(), made.len()), (2, 2), "and nothing else: {made:#?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_copied_says_why() -> Result<()> {
    let world = World::start().await?;
    let (_, errors, code) = copy(&world, &["no-such-container"]).await?;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("container-missing") && errors.contains("where: west"), "{errors}");
    let output = run_once(&world.config(), &["copy", "west", "mars", "x"]).await?;
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr)?.contains("there is no site 'mars'"));
    Ok(())
}

#[tokio::test]
async fn a_source_that_only_the_replicas_service_cannot_read_is_told_apart() -> Result<()> {
    let world = World::start().await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("no address")?).await?;
    world.write_config_with_blob_url(&["west", "east"], "", proxy.url())?;
    let name = container(&world).await?;
    proxy.fault(Rule::answer(403, "CannotVerifyCopySource").header("x-ms-copy-source"));
    let (_, errors, code) = copy(&world, &[&name]).await?;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("source-denied") && errors.contains("it is the source account's firewall"), "{errors}");

    proxy.fault(Rule::answer(403, "AuthenticationFailed").path("/west/").query("sr=b"));
    let (_, errors, _) = copy(&world, &[&name]).await?;
    assert!(errors.contains("cannot read the blob either"), "{errors}");
    let asked = proxy.requests().iter().filter(|seen| seen.copy_source.is_some()).count();
    assert!(asked < FILES * 4, "what cannot work is not tried for every file: {asked} requests");
    Ok(())
}
