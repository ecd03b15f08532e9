//! Replayed letters at a worker: canaries, and marks that stay on a letter until its end.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::amqp::Outgoing;

use crate::support::story::Story;
use crate::support::{World, run_once};

/// A letter about an asset, as if a worker had given it up.
async fn set_aside(world: &World, id: &str, asset: &str) -> Result<()> {
    let letter = Outgoing {
        body: json!({ "site": "west", "asset": { "id": asset } }).to_string().into(),
        message_id: Some(id.to_owned()),
        headers: vec![("x-replication-class".to_owned(), "expired".to_owned())],
        ..Outgoing::default()
    };
    world.amqp.publish("replication.dlx", "dead.expired", letter).await
}

async fn replay(world: &World, words: &str) -> Result<(Option<i32>, Value)> {
    let mut arguments = vec!["dead-letters", "replay", "--yes", "--json"];
    arguments.extend(words.split(' '));
    let output = run_once(&world.config(), &arguments).await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), serde_json::from_slice(&output.stdout).with_context(|| errors)?))
}

#[tokio::test]
async fn the_others_follow_a_canary_that_was_replicated() -> Result<()> {
    let mut story = Story::begin("").await?;
    let mut assets = Vec::new();
    for id in ["one", "two", "three"] {
        let asset = story.world.encoded_asset("movie").await?;
        set_aside(&story.world, id, &asset.id).await?;
        assets.push(asset.id);
    }
    let (code, account) = replay(&story.world, "--all --canary 1").await?;
    assert_eq!((code, &account["moved"]), (Some(0), &3.into()), "{account:#}\n{}", story.worker.log());
    let mut announced = Vec::new();
    for _ in 0..3 {
        announced.push(story.event().await?["subject"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(announced[0], assets[0], "the canary went first");
    announced.sort();
    assets.sort();
    assert_eq!(announced, assets);
    Ok(())
}

#[tokio::test]
async fn the_others_stay_when_the_canary_comes_back_and_it_says_how_often() -> Result<()> {
    let story = Story::begin("").await?;
    let good = story.world.encoded_asset("movie").await?;
    set_aside(&story.world, "bad", "nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21").await?;
    set_aside(&story.world, "good", &good.id).await?;
    let (code, account) = replay(&story.world, "--all --canary 1").await?;
    assert_eq!((code, &account["moved"]), (Some(1), &1.into()), "{account:#}\n{}", story.worker.log());
    assert_eq!(account["cameBack"], json!(["bad"]), "{account:#}");
    let left = [story.world.take("replication.dead").await?, story.world.take("replication.dead").await?];
    let bad = left.iter().find(|letter| letter.message_id.as_deref() == Some("bad")).context("bad is lost")?;
    let header = |name: &str| bad.headers.get(name).map(String::as_str);
    assert_eq!(header("x-replication-replays"), Some("1"));
    assert_eq!(header("x-replication-replay-run"), account["run"].as_str());
    assert_eq!(header("x-replication-attempt"), Some("1"), "it had a full life");
    assert!(header("x-replication-set-aside-at").is_some());
    assert!(left.iter().any(|letter| letter.message_id.as_deref() == Some("good")));
    Ok(())
}

#[tokio::test]
async fn a_canary_that_nobody_hears_of_holds_the_others_back() -> Result<()> {
    let story = Story::begin("").await?;
    let world = &story.world;
    let (one, two) = (world.encoded_asset("movie").await?, world.encoded_asset("movie").await?);
    world.emulator.take_down("east");
    set_aside(world, "one", &one.id).await?;
    set_aside(world, "two", &two.id).await?;
    let (code, account) = replay(world, "--all --canary 1 --canary-timeout 2").await?;
    assert_eq!((code, &account["moved"]), (Some(1), &1.into()), "{account:#}");
    assert!(account["stopped"].as_str().is_some_and(|why| why.contains("nothing was heard of one")), "{account:#}");
    assert_eq!(world.take("replication.dead").await?.message_id.as_deref(), Some("two"));
    Ok(())
}
