//! Whole replications without keys: the result is the same, whichever side lacks one.

use anyhow::{Context, Result};
use stream_replicator::media_service::ams_v2::SasPurpose;
use testbed::emulator::{FaultAction, FaultRule, Set};

use super::scene::{READ, WRITE, ensure_none_left, made, names, none_left, plant, remove_keys, signatures};
use super::scene::{world_behind_proxy, world_without_keys};
use crate::support::{World, ensure_one_replica, ensure_queues_empty, eventually, next_event, run_once};

/// Longer than any test, in milliseconds.
const HELD: u64 = 600_000;

async fn replicates(world: &World) -> Result<()> {
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((&event["data"]["attempts"], &event["data"]["copy"]["copiedFiles"]), (&1.into(), &6.into()));
    ensure_none_left(world).with_context(|| worker.log())?;
    ensure_one_replica(world, &asset.id).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(world).await
}

#[tokio::test]
async fn neither_site_has_a_key() -> Result<()> {
    let world = world_without_keys("").await?;
    assert!(!std::fs::read_to_string(world.config())?.contains("=='\nblob_url"), "a key is still there");
    replicates(&world).await?;
    assert_eq!((made(&world, "west"), made(&world, "east")), (1, 2), "one to read, one to write, one to play");
    Ok(())
}

#[tokio::test]
async fn an_asset_without_files_gives_no_locator_to_read_with() -> Result<()> {
    let world = world_without_keys("").await?;
    for site in ["west", "east"] {
        world.site(site).switch(|switches| switches.locator_needs_files = true)?;
    }
    replicates(&world).await?;
    assert_eq!((made(&world, "west"), made(&world, "east")), (1, 3), "that to write with was asked for twice");
    Ok(())
}

#[tokio::test]
async fn only_the_source_has_a_key() -> Result<()> {
    let world = World::start().await?;
    remove_keys(&world, &["east"])?;
    replicates(&world).await?;
    assert_eq!((made(&world, "west"), made(&world, "east")), (0, 2));
    Ok(())
}

#[tokio::test]
async fn only_the_replica_has_a_key() -> Result<()> {
    let world = World::start().await?;
    remove_keys(&world, &["west"])?;
    replicates(&world).await?;
    assert_eq!((made(&world, "west"), made(&world, "east")), (1, 1));
    Ok(())
}

#[tokio::test]
async fn storage_is_where_the_locators_say() -> Result<()> {
    let world = world_without_keys("").await?;
    // The host is among media.allowed_hosts; and what the settings say of storage is only how it is reached.
    let text = std::fs::read_to_string(world.config())?;
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("blob_url") && !line.ends_with("'west'")).collect();
    assert_eq!(kept.len() + 3, text.lines().count());
    std::fs::write(world.config(), kept.join("\n"))?;
    replicates(&world).await
}

#[tokio::test]
async fn a_place_that_may_not_be_sent_a_signature_is_refused() -> Result<()> {
    let world = world_without_keys("").await?;
    let text = std::fs::read_to_string(world.config())?;
    // The cluster of the media service keeps its name, storage has none.
    let hosts: Vec<_> = world.emulator.data_centres().iter().map(|name| world.emulator.cluster_url(name)).collect();
    let ports = hosts.iter().filter_map(|url| Some(format!("'{}'", url.strip_prefix("http://")?.split('/').next()?)));
    let named = format!("allowed_hosts = [{}]", ports.collect::<Vec<_>>().join(", "));
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("blob_url")).collect();
    std::fs::write(world.config(), kept.join("\n").replace("allowed_hosts = ['127.0.0.1']", &named))?;
    let worker = world.worker().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let letter = world.take("replication.dead").await.with_context(|| worker.log())?;
    assert_eq!(letter.headers.get("x-replication-code").map(String::as_str), Some("sas-refused-by-us"), "{letter:?}");
    ensure_none_left(&world)
}

#[tokio::test]
async fn a_leftover_is_used_and_deleted_and_a_strangers_signature_stays() -> Result<()> {
    let world = world_without_keys("").await?;
    let asset = world.encoded_asset("movie").await?;
    let west = world.site("west");
    plant(&world, "west", &asset.id, SasPurpose::Read).await?;
    let stranger = west.publish(&asset.id, None, None, std::time::Duration::from_secs(3600))?;
    west.set(Set::Locators, &stranger.id, |row| {
        row.set("Type", 1).set("Name", "of the operators");
    })?;
    world.emulator.clear_requests();
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(made(&world, "west"), 0, "the leftover was used");
    assert_eq!(names(&world, &["west", "east"]), ["of the operators"]);
    Ok(())
}

#[tokio::test]
async fn two_replicas_share_one_signature_of_the_source() -> Result<()> {
    let sites = ["west", "east", "north"];
    let world = World::with_sites(&sites).await?;
    remove_keys(&world, &sites)?;
    // Both jobs have listed the source by then.
    let held = || FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on("POST", "Assets");
    world.emulator.fault(held().of_account("eastmedia"));
    world.emulator.fault(held().of_account("northmedia"));
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let both = || async { Ok((world.emulator.delayed().iter().count() == 2).then_some(())) };
    eventually("both jobs at their replicas", both).await.with_context(|| worker.log())?;
    assert_eq!((names(&world, &["west"]), made(&world, "west")), (vec![READ.to_owned()], 1), "one for both");

    world.emulator.fault(FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on("DELETE", "Locators"));
    world.emulator.release_delayed();
    // The first job that is done deletes its own at the replica; that of the source is the other one's still.
    let at_end = || async { Ok(world.emulator.delayed().iter().find(|one| one.method == "DELETE").cloned()) };
    let first = eventually("the end of the first job", at_end).await.with_context(|| worker.log())?;
    assert_ne!(first.account.as_deref(), Some("westmedia"), "the other job needs it still");
    world.emulator.release_delayed();
    for _ in 0..2 {
        let event = next_event(&mut events).await.with_context(|| worker.log())?;
        assert_eq!(event["data"]["attempts"], 1, "neither took it from the other");
    }
    assert_eq!(made(&world, "west"), 1);
    assert_eq!(names(&world, &sites), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_one_shot_needs_no_key_either_and_takes_its_locators_back_when_it_is_interrupted() -> Result<()> {
    let (world, proxy) = world_behind_proxy("").await?;
    let asset = world.encoded_asset("movie").await?;
    let hang = testbed::proxy::Rule::new(testbed::proxy::Action::Hang).header("x-ms-copy-source");
    let hanging = proxy.fault(hang.times(1));
    let running = crate::support::Worker::spawn_command(&world.config(), &["replicate", "--asset", &asset.id])?;
    let at_copy = || async { Ok((hanging.hits() == 1).then_some(())) };
    eventually("the first copy", at_copy).await.with_context(|| running.log())?;
    assert_eq!(names(&world, &["west", "east"]), [READ, WRITE]);
    assert_eq!(running.terminate().await?, Some(3));
    ensure_none_left(&world)?;

    proxy.clear_faults();
    let output = run_once(&world.config(), &["replicate", "--asset", &asset.id]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    none_left(&world).await?;
    assert_eq!(signatures(&world, "east").len(), 0);
    ensure_one_replica(&world, &asset.id).await.map(drop)
}
