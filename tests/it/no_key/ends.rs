//! However a message ends, no SAS locator of ours is left behind it, not even one of an earlier try.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stream_replicator::media_service::ams_v2::SasPurpose;
use testbed::amqp::Received;
use testbed::emulator::{FaultAction, FaultBody, FaultRule, Set};
use testbed::proxy::{Action, Fault, Rule};
use testbed::storage::PutOptions;

use super::scene::{READ, WRITE, client, ensure_none_left, made, names, plant, signatures};
use super::scene::{world_behind_proxy, world_without_keys};
use crate::support::{
    Worker, World, container_of, ensure_one_replica, ensure_queues_empty, eventually, media, next_event,
};

/// In seconds.
const DAY: u64 = 86_400;

fn header<'a>(letter: &'a Received, name: &str) -> &'a str {
    letter.headers.get(name).map_or("", String::as_str)
}

/// The letter that a message must become.
async fn letter(world: &World, worker: &Worker, class: &str, code: &str) -> Result<Received> {
    let letter = world.take("replication.dead").await.with_context(|| worker.log())?;
    let said = (header(&letter, "x-replication-class"), header(&letter, "x-replication-code"));
    assert_eq!(said, (class, code), "{}", header(&letter, "x-replication-error"));
    Ok(letter)
}

/// A replica of `asset_id` as an earlier try has left it: with our mark, and a signature to write to it.
async fn begun_replica(world: &World, asset_id: &str) -> Result<String> {
    let east = world.site("east");
    let replica = east.create_asset("movie", 0).await?;
    let mark = format!("stream-replicator/1 west {asset_id}\n");
    east.set_asset(&replica, |asset| {
        asset.set("AlternateId", mark);
    })?;
    plant(world, "east", &replica, SasPurpose::Write).await?;
    Ok(replica)
}

async fn is_met(fault: &Fault, worker: &Worker) -> Result<()> {
    let met = || async { Ok((fault.hits() > 0).then_some(())) };
    eventually("the fault", met).await.with_context(|| worker.log())
}

/// That a warning names the locator that is left.
fn is_told(worker: &Worker, uuid: &str) -> Result<()> {
    let log = worker.log();
    let mut lines = log.lines().filter(|line| line.contains("SAS locator not deleted") && line.contains("WARN"));
    ensure!(lines.any(|line| line.contains(uuid)), "{uuid} is not told: {log}");
    Ok(())
}

#[tokio::test]
async fn refused_before_anything_was_opened() -> Result<()> {
    let world = world_without_keys("").await?;
    let west = world.site("west");
    let encrypted = west.create_asset("encrypted", 1).await?;
    let gone = west.create_asset("gone", 0).await?;
    for asset in [&encrypted, &gone] {
        plant(&world, "west", asset, SasPurpose::Read).await?;
        begun_replica(&world, asset).await?;
    }
    client(&world, "west")?.delete_asset(&gone).await?;
    assert_eq!(names(&world, &["west", "east"]), [READ, WRITE, WRITE]);
    let worker = world.worker().await?;
    for (asset, code) in [(&encrypted, "asset-storage-encrypted"), (&gone, "asset-gone")] {
        world.send_finished(asset).await?;
        letter(&world, &worker, "permanent", code).await?;
    }
    ensure_none_left(&world)
}

#[tokio::test]
async fn refused_with_one_or_both_containers_open() -> Result<()> {
    let world = world_without_keys("").await?;
    let west = world.site("west");
    let without: Vec<_> = media()?.into_iter().filter(|file| file.name != "movie.ism").collect();
    let no_manifest = west.create_asset("movie", 0).await?;
    west.upload(&no_manifest, &without).await?;
    let strays = world.encoded_asset("movie").await?.id;
    let replica = begun_replica(&world, &strays).await?;
    let container = container_of(&world, "east", &replica)?;
    world.storage("east")?.put(&container, "stray.txt", "x", PutOptions::default()).await?;
    let worker = world.worker().await?;
    for (asset, code) in [(&no_manifest, "manifest-missing"), (&strays, "replica-has-strays")] {
        world.send_finished(asset).await?;
        letter(&world, &worker, "permanent", code).await?;
    }
    ensure_none_left(&world)
}

#[tokio::test]
async fn refused_because_the_asset_has_five_locators() -> Result<()> {
    let world = world_without_keys("").await?;
    let (west, east) = (world.site("west"), world.site("east"));
    let full = world.encoded_asset("movie").await?.id;
    let full_at_east = world.encoded_asset("movie").await?.id;
    let replica = begun_replica(&world, &full_at_east).await?;
    for _ in 0..4 {
        west.publish(&full, None, None, Duration::from_secs(DAY))?;
        east.publish(&replica, None, None, Duration::from_secs(DAY))?;
    }
    let worker = world.worker().await?;
    for (asset, site, account, holder) in [(&full, "west", &west, &full), (&full_at_east, "east", &east, &replica)] {
        world.send_finished(asset).await?;
        let letter = letter(&world, &worker, "permanent", "too-many-locators").await?;
        assert_eq!(header(&letter, "x-replication-site"), site);
        let (hint, theirs) = (header(&letter, "x-replication-hint"), account.locators(holder));
        assert!(theirs.iter().all(|locator| hint.contains(&locator.id)) && hint.contains("until 20"), "{hint}");
        assert_eq!(theirs.len(), if site == "west" { 5 } else { 4 }, "all but our own");
    }
    ensure_none_left(&world)
}

#[tokio::test]
async fn given_up_after_the_last_try() -> Result<()> {
    let (world, proxy) = world_behind_proxy("[worker]\nmax_attempts = 2\n[http]\ntries = 1\n").await?;
    proxy.fault(Rule::answer(503, "ServerBusy").header("x-ms-copy-source"));
    let worker = world.worker().await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    letter(&world, &worker, "exhausted", "storage-busy").await?;
    ensure_none_left(&world)
}

#[tokio::test]
async fn expired_while_storage_refuses() -> Result<()> {
    let (world, proxy) = world_behind_proxy("[worker]\njob_deadline_seconds = 20\n").await?;
    proxy.fault(Rule::answer(403, "AuthenticationFailed").path("/east/").query("comp=list"));
    let worker = world.worker().await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    worker.logs("sas-not-usable-yet").await?;
    assert_eq!(names(&world, &["west", "east"]), [READ, WRITE], "kept for the next slice");
    letter(&world, &worker, "expired", "sas-not-usable-yet").await?;
    ensure_none_left(&world)
}

#[tokio::test]
async fn given_up_while_the_source_cannot_even_be_asked() -> Result<()> {
    let (world, proxy) = world_behind_proxy("[worker]\nmax_attempts = 1\n[http]\ntries = 1\n").await?;
    let fault = proxy.fault(Rule::answer(403, "AuthenticationFailed").path("/east/").query("comp=list"));
    let worker = world.worker().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    is_met(&fault, &worker).await?;
    worker.logs("sas-not-usable-yet").await?;
    world.emulator.make_unavailable("west");
    letter(&world, &worker, "exhausted", "media-service-busy").await?;
    assert_eq!(names(&world, &["west", "east"]), [READ], "nothing can be deleted at a source that is down");
    is_told(&worker, &signatures(&world, "west").remove(0).uuid)?;

    // The message is replayed when the source is back.
    world.emulator.bring_up("west").await?;
    proxy.clear_faults();
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    ensure_none_left(&world)
}

#[tokio::test]
async fn done_but_for_a_locator_that_cannot_be_deleted_at_first() -> Result<()> {
    let world = world_without_keys("[http]\ntries = 2\n").await?;
    let fault = FaultRule::status(500).on("DELETE", "Locators").of_account("eastmedia");
    world.emulator.fault(fault.times(2));
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 2);
    assert!(worker.log().contains("sas-locator-left"), "{}", worker.log());
    ensure_none_left(&world)?;
    ensure_one_replica(&world, &asset.id).await.map(drop)
}

#[tokio::test]
async fn done_but_for_a_locator_that_can_never_be_deleted() -> Result<()> {
    let world = world_without_keys("[http]\ntries = 1\n").await?;
    let refused = FaultRule::status(403).on("DELETE", "Locators").of_account("westmedia");
    world.emulator.fault(refused.times(100));
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 1);
    assert_eq!(names(&world, &["west", "east"]), [READ], "the other one is deleted");
    is_told(&worker, &signatures(&world, "west").remove(0).uuid)?;
    assert!(!worker.log().contains("sas-locator-left"), "{}", worker.log());
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn done_but_for_a_locator_that_cannot_be_deleted_in_time() -> Result<()> {
    // The next try would come when the message's time is over.
    let world = world_without_keys("[worker]\njob_deadline_seconds = 300\n").await?;
    let body = FaultBody::Empty;
    let busy = FaultAction::Answer { status: 503, body, retry_after_seconds: Some(600) };
    world.emulator.fault(FaultRule::new(busy).on("DELETE", "Locators").of_account("eastmedia").times(100));
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 1);
    assert_eq!(names(&world, &["west", "east"]), [WRITE]);
    is_told(&worker, &signatures(&world, "east").remove(0).uuid)
}

#[tokio::test]
async fn stopped_while_leftovers_are_looked_for() -> Result<()> {
    let world = world_without_keys("[worker]\ngrace_seconds = 0\n").await?;
    let encrypted = world.site("west").create_asset("encrypted", 1).await?;
    begun_replica(&world, &encrypted).await?;
    let worker = world.worker().await?;
    let slow = FaultRule::new(FaultAction::DelayMilliseconds(1500)).on("GET", "Assets").of_account("eastmedia");
    world.emulator.fault(slow);
    world.send_finished(&encrypted).await?;
    let asked = || async { Ok(world.emulator.delayed().iter().next().is_some().then_some(())) };
    eventually("the search", asked).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(3));
    ensure_none_left(&world)
}

#[tokio::test]
async fn handed_back_at_sigterm() -> Result<()> {
    let (world, proxy) = world_behind_proxy("[worker]\ngrace_seconds = 0\n").await?;
    let hanging = proxy.fault(Rule::new(Action::Hang).header("x-ms-copy-source"));
    let worker = world.worker().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    is_met(&hanging, &worker).await?;
    assert_eq!(names(&world, &["west", "east"]), [READ, WRITE]);
    assert_eq!(worker.terminate().await?, Some(3));
    ensure_none_left(&world)?;

    proxy.clear_faults();
    let mut events = world.events().await?;
    let worker = world.worker().await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    ensure_none_left(&world)?;
    ensure_one_replica(&world, &asset.id).await.map(drop)
}

#[tokio::test]
async fn handed_back_while_a_locator_is_being_made() -> Result<()> {
    let world = world_without_keys("[worker]\ngrace_seconds = 0\n").await?;
    let slow = FaultRule::new(FaultAction::DelayMilliseconds(1500)).on("POST", "Locators").of_account("westmedia");
    world.emulator.fault(slow);
    let worker = world.worker().await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    let asked = || async { Ok(world.emulator.delayed().iter().next().is_some().then_some(())) };
    eventually("the making of a locator", asked).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(3));
    assert_eq!(made(&world, "west"), 1, "it was made when the job was stopped already");
    ensure_none_left(&world)
}

#[tokio::test]
async fn a_signature_of_ours_that_was_renamed_is_used_and_deleted_too() -> Result<()> {
    let world = world_without_keys("").await?;
    let asset = world.encoded_asset("movie").await?;
    let leftover = plant(&world, "west", &asset.id, SasPurpose::Read).await?;
    world.site("west").set(Set::Locators, &leftover.id.to_ams_v2(), |row| {
        row.set("Name", "renamed");
    })?;
    world.emulator.clear_requests();
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(made(&world, "west"), 0, "it was used");
    ensure_none_left(&world)
}
