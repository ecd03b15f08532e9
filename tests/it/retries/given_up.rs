//! What does not pass: dead letters with their class, and with what an operator needs to know.

use anyhow::Result;
use serde_json::json;
use testbed::storage::PutOptions;

use super::{Story, header};
use crate::support::{container_of, ensure_one_replica};

#[tokio::test]
async fn a_message_that_still_fails_at_its_deadline_is_expired() -> Result<()> {
    let mut story = Story::begin("[worker]\njob_deadline_seconds = 1\n[http]\ntries = 1\n").await?;
    story.world.emulator.make_unavailable("east");
    let asset = story.send_asset().await?;
    let letter = story.dead_letter().await?;
    assert_eq!(letter.routing_key, "dead.expired");
    assert_eq!(header(&letter, "x-replication-class")?, "expired");
    assert_eq!(header(&letter, "x-replication-code")?, "media-service-busy");
    assert_eq!(header(&letter, "x-replication-attempt")?, "2", "one try, one tier of a second, one more");
    assert_eq!(letter.json()?["data"]["asset"]["id"], asset.id.as_str());
    Ok(())
}

#[tokio::test]
async fn what_is_never_ready_expires_too() -> Result<()> {
    let mut story = Story::begin("[worker]\njob_deadline_seconds = 1\n").await?;
    let asset = story.world.encoded_asset("movie").await?;
    let message = json!({ "site": "west", "asset": { "id": asset.id }, "expected": { "files": 99 } });
    story.world.send(message.to_string(), Some("never-ready")).await?;
    let letter = story.dead_letter().await?;
    assert_eq!(header(&letter, "x-replication-class")?, "expired");
    assert_eq!(header(&letter, "x-replication-code")?, "source-incomplete");
    assert!(story.world.site("east").assets().is_empty(), "nothing is made of what was never ready");
    Ok(())
}

#[tokio::test]
async fn a_message_is_exhausted_after_the_attempts_that_a_setting_allows() -> Result<()> {
    let mut story = Story::begin("[worker]\nmax_attempts = 2\n[http]\ntries = 1\n").await?;
    story.world.emulator.make_unavailable("east");
    story.send_asset().await?;
    let letter = story.dead_letter().await?;
    assert_eq!(letter.routing_key, "dead.exhausted");
    assert_eq!(header(&letter, "x-replication-class")?, "exhausted");
    assert_eq!(header(&letter, "x-replication-attempt")?, "2");
    assert_eq!(story.logged(super::AGAIN), 1);
    Ok(())
}

#[tokio::test]
async fn a_stray_file_at_the_replica_is_named_in_a_dead_letter_and_stays() -> Result<()> {
    let mut story = Story::begin("").await?;
    let asset = story.send_asset().await?;
    story.event().await?;
    let replica = ensure_one_replica(&story.world, &asset.id).await?;
    let container = container_of(&story.world, "east", &replica)?;
    let east = story.world.storage("east")?;
    east.put(&container, "somebody else's.txt", "x", PutOptions::default()).await?;

    story.world.send_finished(&asset.id).await?;
    let letter = story.dead_letter().await?;
    assert_eq!(header(&letter, "x-replication-class")?, "permanent");
    assert_eq!(header(&letter, "x-replication-code")?, "replica-has-strays");
    assert_eq!(header(&letter, "x-replication-step")?, "verify_copy");
    assert_eq!(header(&letter, "x-replication-site")?, "east");
    assert!(header(&letter, "x-replication-error")?.contains("somebody else's.txt"));
    assert!(header(&letter, "x-replication-hint")?.contains("delete"));
    assert!(east.head(&container, "somebody else's.txt").await?.is_some(), "nobody's file is deleted");

    // The hint followed, the letter sent again: done.
    east.delete(&container, "somebody else's.txt").await?;
    story.world.send(letter.body, letter.message_id.as_deref()).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}
