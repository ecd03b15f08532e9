//! Whoever waits for a replica is told when it will not come: once for each replica, and again as the same event only.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::{Outgoing, Subscription};

use crate::support::failed::next_failure;
use crate::support::rabbitmq::Operator;
use crate::support::{World, eventually};

const UNKNOWN_ASSET: &str = "nb:cid:UUID:00000000-0000-0000-0000-000000000001";
const UNKNOWN_JOB: &str = "nb:jid:UUID:00000000-0000-0000-0000-000000000001";

/// Waits for the events about one message to both replica sites; gives their ids.
async fn told_of_both(events: &mut Subscription, asset: &Value, letter_id: &str) -> Result<BTreeSet<String>> {
    let (mut ids, mut replicas) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2 {
        let (event, body) = next_failure(events).await?;
        ensure!(body["data"]["asset"] == *asset && body["data"]["deadLetterId"] == letter_id, "{body:#}");
        let replica = body["data"]["sites"][1]["name"].as_str().context("no replica")?.to_owned();
        ensure!(event.routing_key == format!("media.asset.replication_failed.west.{replica}"), "{event:?}");
        ensure!(body["data"]["correlation"]["cmsId"] == "4711", "{body:#}");
        ids.insert(body["id"].as_str().context("no id")?.to_owned());
        replicas.insert(replica);
    }
    ensure!(replicas == BTreeSet::from(["east".to_owned(), "north".to_owned()]), "{replicas:?}");
    ensure!(ids.len() == 2, "events about two replicas are two events");
    Ok(ids)
}

#[tokio::test]
async fn a_message_that_fails_before_it_is_split_is_told_for_each_replica() -> Result<()> {
    let world = World::with_sites(&["west", "east", "north"]).await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    for (id, asset) in [("of-a-job", json!({ "job": { "id": UNKNOWN_JOB } })), ("by-name", json!({ "name": "movie" }))]
    {
        let message = json!({ "site": "west", "asset": asset, "correlation": { "cmsId": "4711" } });
        world.send(message.to_string(), Some(id)).await?;
        told_of_both(&mut events, &asset, id).await.with_context(|| worker.log())?;
        let letter = world.take("replication.dead").await?;
        ensure!(letter.message_id.as_deref() == Some(id), "one letter for both: {letter:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_letter_without_an_id_is_told_by_its_digest_and_a_replay_that_fails_again_is_news() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    // Also a name that is longer than any property of AMQP.
    let name = "long ".repeat(100);
    world.send(json!({ "site": "west", "asset": { "name": name } }).to_string(), None).await?;
    let (event, first) = next_failure(&mut events).await.with_context(|| worker.log())?;
    ensure!(event.correlation_id.is_none() && first["subject"] == name.as_str(), "{event:?}");
    let id = first["data"]["deadLetterId"].as_str().context("no letter's id")?;
    ensure!(id.len() == 71 && id.starts_with("sha256-"), "{id}");

    let letter = world.take("replication.dead").await?;
    let headers = vec![("x-replication-replays".to_owned(), "1".to_owned())];
    let replay = Outgoing { body: letter.body.into(), headers, ..Outgoing::default() };
    world.amqp.publish("replication.retry", "now", replay).await?;
    let (_, second) = next_failure(&mut events).await?;
    ensure!(second["data"]["deadLetterId"] == id && second["id"] != first["id"], "{second:#}");
    Ok(())
}

#[tokio::test]
async fn what_names_no_site_of_ours_is_parked_and_told_nobody() -> Result<()> {
    let world = World::start().await?;
    let _worker = world.worker().await?;
    let mut events = world.events().await?;
    for body in ["no JSON".to_owned(), json!({ "site": "nowhere", "asset": { "id": UNKNOWN_ASSET } }).to_string()] {
        world.send(body, Some("unusable")).await?;
        world.take("replication.parked").await?;
    }
    world.send_finished(UNKNOWN_ASSET).await?;
    let (_, told) = next_failure(&mut events).await?;
    ensure!(told["data"]["asset"]["id"] == UNKNOWN_ASSET, "{told:#}");
    Ok(())
}

#[tokio::test]
async fn a_worker_killed_between_the_event_and_the_letter_makes_the_same_event_again() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    // Another queue takes dead letters too, and is full: the broker refuses the letter.
    let operator = Operator::connect(&world.vhost).await?;
    operator.declare_tiny_queue("full").await?;
    world.amqp.publish("full", "", Outgoing::default()).await?;
    operator.bind("full", "replication.dlx", "dead.#").await?;
    let id = world.send_finished(UNKNOWN_ASSET).await?;
    let (_, first) = next_failure(&mut events).await.with_context(|| worker.log())?;
    worker.logs("cannot publish").await?;
    worker.kill().await?;

    let worker = world.worker().await?;
    let (_, second) = next_failure(&mut events).await.with_context(|| worker.log())?;
    ensure!(first["id"] == second["id"] && first["source"] == second["source"], "{first:#}\n{second:#}");
    operator.delete_queue("full").await?;
    worker.logs("dead letter").await?;
    let work_is_empty = || async { Ok((world.vhost.queue_depth("replication.work").await? == Some(0)).then_some(())) };
    eventually("an empty work queue", work_is_empty).await?;
    while let Some(letter) = world.amqp.take("replication.dead").await? {
        ensure!(letter.message_id.as_deref() == Some(id.as_str()), "{letter:?}");
    }
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}
