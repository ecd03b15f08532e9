//! Copies that the service calls done and that are not their source: seen before anything is registered or published.

use anyhow::Result;
use testbed::proxy::{ListEdit, Rule};
use testbed::storage::PutOptions;

use super::{AGAIN, ONE_BY_ONE, Story};
use crate::support::{container_of, ensure_one_replica};

const FILE: &str = "movie_640x360_320.mp4";

/// The replica's listing after the copy says this of a file; the one of the next run tells the truth again.
async fn a_copy_is_told_apart(edit: ListEdit, told: &str) -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    let edited = proxy.fault(Rule::edit_list(edit).path("/east/").skip(1).times(1));
    let asset = story.send_asset().await?;
    story.worker.logs(AGAIN).await?;
    let log = story.worker.log();
    assert!(log.contains("replica-differs") && log.contains(told), "'{told}' is not told: {log}");
    let early = story.world.emulator.requests();
    let registered = early.count("GET", "CreateFileInfos", "eastmedia");
    let event = story.finish(&asset.id, 2).await?;
    assert_eq!((edited.hits(), registered), (1, 0), "nothing is registered before it is verified");
    assert_eq!(event["data"]["attempts"], 2);
    Ok(())
}

fn set(property: &str, value: &str) -> ListEdit {
    ListEdit::Set { name: FILE.to_owned(), property: property.to_owned(), value: value.to_owned() }
}

#[tokio::test]
async fn a_copy_that_is_cut_short_is_not_taken_for_done() -> Result<()> {
    a_copy_is_told_apart(set("Content-Length", "1000"), "has 1000 bytes instead of").await
}

#[tokio::test]
async fn a_copy_with_other_content_is_not_taken_for_done() -> Result<()> {
    a_copy_is_told_apart(set("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), "has another MD5").await
}

#[tokio::test]
async fn a_copy_that_is_not_there_is_not_taken_for_done() -> Result<()> {
    a_copy_is_told_apart(ListEdit::Omit(FILE.to_owned()), "is missing").await
}

#[tokio::test]
async fn a_replica_that_was_cut_short_later_is_copied_again() -> Result<()> {
    let mut story = Story::begin("").await?;
    let asset = story.send_asset().await?;
    story.event().await?;
    let replica = ensure_one_replica(&story.world, &asset.id).await?;
    let container = container_of(&story.world, "east", &replica)?;
    let options = PutOptions { content_type: Some("video/mp4".into()), ..PutOptions::default() };
    story.world.storage("east")?.put(&container, FILE, "short", options).await?;
    story.world.send_finished(&asset.id).await?;
    let event = story.finish(&asset.id, 1).await?;
    assert_eq!((&event["data"]["copy"]["copiedFiles"], &event["data"]["copy"]["skippedFiles"]), (&1.into(), &5.into()));
    Ok(())
}
