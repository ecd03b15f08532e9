//! Storage on a bad day: busy, copies that fail or take long, and a source that changes while it is copied.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use testbed::proxy::{Action, Rule, Seen};
use testbed::storage::PutOptions;

use super::{AGAIN, ONE_BY_ONE, Story};
use crate::support::{Published, container_of, ensure_one_replica, eventually};

/// The first file that is copied: the first one by name that is no manifest.
const FIRST: &str = "movie_320x180_100.mp4";
/// The next one.
const SECOND: &str = "movie_480x270_180.mp4";

#[tokio::test]
async fn busy_storage_is_asked_again_in_process() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    let list = || Rule::answer(503, "ServerBusy").query("comp=list");
    let copy = Rule::answer(503, "ServerBusy").header("x-ms-copy-source").path(FIRST);
    let faults = [
        proxy.fault(list().path("/west/").times(2)),
        proxy.fault(list().path("/east/").times(2)),
        proxy.fault(copy.times(1)),
        proxy.fault(Rule::answer(500, "OperationTimedOut").header("x-ms-copy-source").path(SECOND).times(1)),
    ];
    let asset = story.send_asset().await?;
    story.finish(&asset.id, 1).await?;
    assert_eq!(faults.map(|fault| fault.hits()), [2, 2, 1, 1], "each fault was met");
    Ok(())
}

#[tokio::test]
async fn storage_that_stays_busy_costs_an_attempt_and_keeps_what_was_copied() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(&format!("{ONE_BY_ONE}[http]\ntries = 2\n")).await?;
    let busy = proxy.fault(Rule::answer(503, "ServerBusy").header("x-ms-copy-source").path(SECOND).times(2));
    let asset = story.send_asset().await?;
    let event = story.finish(&asset.id, 2).await?;
    assert_eq!(busy.hits(), 2);
    let of_first = |seen: &&Seen| seen.copy_source.as_deref().is_some_and(|path| path.contains(FIRST));
    assert_eq!(proxy.requests().iter().filter(of_first).count(), 2, "Put Blob From URL, Copy Blob, and never again");
    assert_eq!((&event["data"]["copy"]["copiedFiles"], &event["data"]["copy"]["skippedFiles"]), (&json!(6), &json!(0)));
    Ok(())
}

/// Overwrites a source blob, length unchanged, while the copy of the second file is held.
async fn the_source_changes_in_mid_copy(changed: &str) -> Result<()> {
    let settings = format!("{ONE_BY_ONE}[http]\nstorage_timeout_seconds = 2\n");
    let (mut story, proxy) = Story::begin_behind_proxy(&settings).await?;
    let held =
        proxy.fault(Rule::new(Action::Hang).method(Method::PUT).header("x-ms-copy-source").path(SECOND).times(1));
    let asset = story.send_asset().await?;
    eventually("the held copy", || async { Ok((held.hits() > 0).then_some(())) }).await?;
    let before = digest_at(&story, "west", &asset).await?;
    overwrite(&story, &asset, changed).await?;

    let event = story.event().await?;
    let after = digest_at(&story, "west", &asset).await?;
    assert_ne!(before, after, "the source is another one now");
    assert_eq!(digest_of(&event)?, after, "what is announced is the source as it is");
    assert_eq!(event["data"]["attempts"], 2);
    assert_eq!(story.logged("source-changed"), 1);
    assert_eq!(story.logged(AGAIN), 1);
    ensure_one_replica(&story.world, &asset.id).await?;
    story.ensure_no_event().await
}

#[tokio::test]
async fn a_file_that_changes_after_its_copy_is_copied_again() -> Result<()> {
    the_source_changes_in_mid_copy(FIRST).await
}

#[tokio::test]
async fn a_file_that_changes_before_its_copy_is_copied_as_it_is_then() -> Result<()> {
    the_source_changes_in_mid_copy(SECOND).await
}

#[tokio::test]
async fn a_file_that_is_replaced_after_the_announcement_makes_a_new_event_with_another_id() -> Result<()> {
    let mut story = Story::begin("").await?;
    let asset = story.send_asset().await?;
    let first = story.event().await?;
    overwrite(&story, &asset, FIRST).await?;
    story.world.send_finished(&asset.id).await?;
    let second = story.event().await?;
    assert_ne!(first["id"], second["id"], "other content is another event");
    assert_eq!(second["data"]["copy"]["copiedFiles"], 1, "only what changed");
    assert_eq!(digest_of(&second)?, digest_at(&story, "west", &asset).await?);
    ensure_one_replica(&story.world, &asset.id).await?;
    Ok(())
}

/// The same length, other bytes.
async fn overwrite(story: &Story, asset: &Published, file: &str) -> Result<()> {
    let (west, container) = (story.world.storage("west")?, container_of(&story.world, "west", &asset.id)?);
    let old = west.get(&container, file, None).await?.context("no such file")?;
    let bytes: Vec<u8> = old.bytes.iter().map(|byte| byte ^ 0xff).collect();
    let options = PutOptions { content_type: old.info.content_type, ..PutOptions::default() };
    west.put(&container, file, bytes, options).await
}

/// What an event says that was copied.
fn digest_of(event: &Value) -> Result<String> {
    Ok(event["data"]["content"]["digest"].as_str().context("no digest")?.to_owned())
}

/// The same of what is there now: sha256 of the lines name, size, MD5 in name order.
async fn digest_at(story: &Story, site: &str, asset: &Published) -> Result<String> {
    let container = container_of(&story.world, site, &asset.id)?;
    let blobs = story.world.storage(site)?.list(&container).await?.context("no container")?;
    let line = |blob: &testbed::storage::BlobInfo| {
        format!("{}\t{}\t{}\n", blob.name, blob.size, blob.content_md5.as_deref().unwrap_or_default())
    };
    let lines: String = blobs.iter().map(line).collect();
    Ok(Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect())
}
