//! What a replica is published as: the name, the validity and the files of its source, whatever stands there already.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::amqp::Subscription;
use testbed::emulator::{CreateFileInfos, FaultAction, FaultRule, Locator, PreparedFile, Set};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::support::refusal::{Refusal, ensure_refused, send_all};
use crate::support::{
    Worker, World, container_of, ensure_one_replica, ensure_queues_empty, eventually, media, next_event,
};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
const ORIGIN: i64 = 2;

async fn begin() -> Result<(World, Worker, Subscription)> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let events = world.events().await?;
    Ok((world, worker, events))
}

/// Announces the asset, waits for the event, and checks that the replica is whole.
async fn replicate(world: &World, worker: &Worker, events: &mut Subscription, asset_id: &str) -> Result<Value> {
    world.send_finished(asset_id).await?;
    let event = next_event(events).await.with_context(|| worker.log())?;
    ensure!(event["data"]["asset"]["id"] == asset_id, "of another asset: {event:#}");
    Ok(event)
}

async fn finish(world: &World, worker: Worker) -> Result<()> {
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(world).await
}

/// Publishes for so many days from so many days ago on; of one asset's locators the service lists the one of number 1 first.
fn publish(world: &World, asset_id: &str, number: u128, from_days: i64, days: u32) -> Result<Locator> {
    let now = OffsetDateTime::now_utc().truncate_to_second();
    let random = Uuid::new_v4().as_u128() >> 8;
    let id = Uuid::from_u128(number << 120 | random);
    world.site("west").publish(asset_id, Some(id), Some(now + Duration::days(from_days)), DAY * days)
}

#[tokio::test]
async fn a_locator_that_began_long_ago_ends_at_both_sites_in_the_same_second() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    for (from_days, days) in [(-100, 103), (-1000, 1001), (0, 400)] {
        let asset = world.unpublished_asset("movie").await?;
        let locator = publish(&world, &asset, 1, from_days, days)?;
        let event = replicate(&world, &worker, &mut events, &asset).await?;
        let replica = event["data"]["asset"]["replicaId"].as_str().context("no replica id")?;
        let twin = world.site("east").locators(replica).remove(0);
        assert_eq!((twin.start, twin.expires), (locator.start, locator.expires), "from {from_days} for {days} days");
        let far = twin.expires.context("no end")? - OffsetDateTime::now_utc();
        assert!((far - Duration::days(from_days + i64::from(days))).abs() < Duration::minutes(5), "{far}");
    }
    finish(&world, worker).await
}

#[tokio::test]
async fn of_several_locators_the_newest_that_still_lasts_is_replicated() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    let (west, asset) = (world.site("west"), world.unpublished_asset("movie").await?);
    let shared = publish(&world, &asset, 1, -2, 99)?;
    west.set(Set::Locators, &shared.id, |locator| {
        locator.set("Type", 1);
    })?;
    publish(&world, &asset, 2, -30, 99)?;
    let newest = publish(&world, &asset, 3, -3, 9)?;
    publish(&world, &asset, 4, -5, 4)?;
    publish(&world, &asset, 5, 5, 99)?;
    let event = replicate(&world, &worker, &mut events, &asset).await?;
    assert_eq!(event["data"]["locatorId"], newest.uuid.as_str(), "neither shared, over, older, nor to come");
    let replica = event["data"]["asset"]["replicaId"].as_str().context("no replica id")?;
    let at_east: Vec<_> = world.site("east").locators(replica).into_iter().map(|one| (one.kind, one.uuid)).collect();
    assert_eq!(at_east, [(ORIGIN, newest.uuid)]);
    finish(&world, worker).await
}

#[tokio::test]
async fn names_travel_in_every_script_and_the_mark_leaves_the_owners_alternate_id() -> Result<()> {
    const NAME: &str = "Zoë's \"Größe\" <&> 映画 🎬";
    let (world, worker, mut events) = begin().await?;
    let (west, asset) = (world.site("west"), world.encoded_asset(NAME).await?);
    west.set_asset(&asset.id, |asset| {
        asset.set("AlternateId", "{\"cms\":\"Jörg № 7\"}");
    })?;
    let locator = west.locators(&asset.id).remove(0);
    west.set(Set::Locators, &locator.id, |locator| {
        locator.set("Name", "für alle 映画");
    })?;
    let event = replicate(&world, &worker, &mut events, &asset.id).await?;
    assert_eq!(event["data"]["asset"]["name"], NAME);
    let replica = world.site("east").assets().remove(0);
    assert_eq!(replica.name, NAME, "the name, not that of a container");
    let mark = format!("stream-replicator/1 west {}\n{{\"cms\":\"Jörg № 7\"}}", asset.id);
    assert_eq!(replica.alternate_id.as_deref(), Some(mark.as_str()));
    assert_eq!(world.site("east").locators(&replica.id)[0].name.as_deref(), Some("für alle 映画"));
    ensure_one_replica(&world, &asset.id).await?;
    finish(&world, worker).await
}

/// Deletes something as an operator does, through the service itself.
async fn delete_at_east(world: &World, resource: &str) -> Result<()> {
    let tokens = world.emulator.issued_tokens();
    let token = tokens.iter().find(|token| token.contains("eastmedia")).context("no token of east")?;
    let url = format!("{}{resource}", world.emulator.cluster_url("east"));
    let answer = reqwest::Client::new().delete(url).bearer_auth(token).header("x-ms-version", "2.19").send().await?;
    ensure!(answer.status() == 204, "not deleted: {}", answer.status());
    Ok(())
}

#[tokio::test]
async fn a_locator_that_somebody_deleted_is_published_again_under_its_id() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    let asset = world.encoded_asset("movie").await?;
    let first = replicate(&world, &worker, &mut events, &asset.id).await?;
    let east = world.site("east");
    let replica = ensure_one_replica(&world, &asset.id).await?;
    delete_at_east(&world, &format!("Locators('{}')", east.locators(&replica)[0].id)).await?;
    assert_eq!(east.locators(&replica).len(), 0);
    let second = replicate(&world, &worker, &mut events, &asset.id).await?;
    assert_eq!((&second["id"], &second["data"]["urls"]), (&first["id"], &first["data"]["urls"]));
    assert_eq!(second["data"]["copy"]["copiedFiles"], 0);
    assert_eq!(ensure_one_replica(&world, &asset.id).await?, replica);
    finish(&world, worker).await
}

#[tokio::test]
async fn files_are_registered_before_the_locator_where_the_service_insists_on_it() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    for site in ["west", "east"] {
        world.site(site).switch(|switches| switches.locator_needs_files = true)?;
    }
    let asset = world.unpublished_asset("movie").await?;
    replicate(&world, &worker, &mut events, &asset).await?;
    ensure_one_replica(&world, &asset).await?;
    finish(&world, worker).await
}

#[tokio::test]
async fn files_that_come_later_are_registered_where_the_service_registers_no_container_twice() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    world.site("east").switch(|switches| switches.create_file_infos = CreateFileInfos::ConflictWhenFilesExist)?;
    let asset = world.encoded_asset("movie").await?;
    replicate(&world, &worker, &mut events, &asset.id).await?;
    world.site("west").upload(&asset.id, &[PreparedFile::new("poster.jpg", "a poster")]).await?;
    // Its registration is carried out and its answer lost, so that it is asked for twice.
    world.emulator.fault(FaultRule::status(500).on("POST", "Files").of_account("eastmedia").after_commit());
    let event = replicate(&world, &worker, &mut events, &asset.id).await?;
    assert_eq!((&event["data"]["content"]["files"], &event["data"]["attempts"]), (&7.into(), &1.into()));
    assert_eq!(world.emulator.clear_faults(), 0, "the file was not registered by itself");
    replicate(&world, &worker, &mut events, &asset.id).await?;
    let asked = world.emulator.requests().count("GET", "CreateFileInfos", "eastmedia");
    assert_eq!(asked, 2, "nothing was missing the third time");
    ensure_one_replica(&world, &asset.id).await?;
    finish(&world, worker).await
}

/// The call that registers everything is carried out, and its answer lost: the second one is refused.
#[tokio::test]
async fn a_registration_whose_answer_is_lost_is_no_dead_letter_where_the_service_registers_nothing_twice() -> Result<()>
{
    let (world, worker, mut events) = begin().await?;
    world.site("east").switch(|switches| switches.create_file_infos = CreateFileInfos::ConflictWhenFilesExist)?;
    let asset = world.encoded_asset("movie").await?;
    world.emulator.fault(FaultRule::status(500).on("GET", "CreateFileInfos").of_account("eastmedia").after_commit());
    let event = replicate(&world, &worker, &mut events, &asset.id).await?;
    assert_eq!(event["data"]["attempts"], 1);
    assert_eq!(world.emulator.requests().count("GET", "CreateFileInfos", "eastmedia"), 2);
    ensure_one_replica(&world, &asset.id).await?;
    finish(&world, worker).await
}

#[tokio::test]
async fn a_registered_size_that_is_not_the_blobs_is_refused_and_nothing_published() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    let held = FaultRule::new(FaultAction::DelayMilliseconds(600_000)).on("GET", "CreateFileInfos").after_commit();
    world.emulator.fault(held);
    let asset = world.encoded_asset("movie").await?;
    let refusal = Refusal::new("files-differ", "register_files", &asset.id);
    let sent = send_all(&world, vec![Refusal { site: "east", ..refusal }]).await?;
    let is_held = || world.emulator.delayed().iter().count() > 0;
    eventually("the held registration", || async { Ok(is_held().then_some(())) }).await?;
    let (east, replica) = (world.site("east"), world.site("east").assets().remove(0).id);
    let file = east.files(&replica).into_iter().find(|file| file.name == "movie.ismc").context("no such file")?;
    let set_size = |size: i64| {
        east.set(Set::Files, &file.id, |file| {
            file.set("ContentFileSize", size);
        })
    };
    set_size(file.size + 1)?;
    world.emulator.release_delayed();
    ensure_refused(&world, &mut events, sent).await.with_context(|| worker.log())?;
    assert_eq!(east.locators(&replica).len(), 0, "published all the same");

    set_size(file.size)?;
    replicate(&world, &worker, &mut events, &asset.id).await?;
    ensure_one_replica(&world, &asset.id).await?;
    finish(&world, worker).await
}

#[tokio::test]
async fn a_replica_that_lost_its_container_is_told_of_and_gets_no_other() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    let asset = world.encoded_asset("movie").await?;
    replicate(&world, &worker, &mut events, &asset.id).await?;
    let replica = ensure_one_replica(&world, &asset.id).await?;
    let (east, container) = (world.storage("east")?, container_of(&world, "east", &replica)?);
    east.delete_container(&container).await?;
    let refusal = Refusal::new("container-missing", "copy_blobs", &asset.id);
    let sent = send_all(&world, vec![Refusal { site: "east", ..refusal }]).await?;
    ensure_refused(&world, &mut events, sent).await.with_context(|| worker.log())?;
    assert!(east.list(&container).await?.is_none(), "a container was made");
    assert_eq!(world.site("east").assets().len(), 1, "another replica was made");
    finish(&world, worker).await
}

#[tokio::test]
async fn with_storage_keys_no_locator_is_made_but_the_streaming_ones() -> Result<()> {
    let (world, worker, mut events) = begin().await?;
    let west = world.site("west");
    let asset = west.create_asset("movie", 0).await?;
    west.upload(&asset, &media()?).await?;
    replicate(&world, &worker, &mut events, &asset).await?;
    let posts = |set, account| world.emulator.requests().count("POST", set, account);
    for account in ["westmedia", "eastmedia"] {
        assert_eq!((posts("Locators", account), posts("AccessPolicies", account)), (1, 1), "{account}");
    }
    ensure_one_replica(&world, &asset).await?;
    finish(&world, worker).await
}
