//! A new SAS locator takes its time to get through to storage, and an old one may be made useless: neither is a failure of
//! the job, and neither is asked for in a hurry.

use anyhow::{Context, Result};
use serde_json::Value;
use stream_replicator::media_service::ams_v2::SasPurpose;
use testbed::emulator::{FaultAction, FaultRule, Set};
use testbed::proxy::{Fault, FaultProxy, Rule};
use testbed::storage::StoredPolicy;
use time::{Duration, OffsetDateTime};

use super::scene::{client, ensure_none_left, made, names, plant, world_behind_proxy, world_of_sites_behind_proxy};
use crate::support::{Worker, World, container_of, ensure_one_replica, ensure_queues_empty, eventually, next_event};

/// Copies one after the other, so that a fault meets one.
const ONE_BY_ONE: &str = "[copy]\nmax_requests = 1\n";

/// What storage says to a signature whose stored policy it does not know yet.
fn refused() -> Rule {
    Rule::answer(403, "AuthenticationFailed")
}

fn refused_source() -> Rule {
    let rule = Rule::answer(403, "CannotVerifyCopySource").header("x-ms-copy-source");
    rule.answer_header("x-ms-copy-source-status-code", "403")
}

/// Sends an asset whose storage has these faults, and gives the event.
async fn replicates(world: &World, worker: &Worker) -> Result<Value> {
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    ensure_none_left(world)?;
    ensure_one_replica(world, &asset.id).await?;
    ensure_queues_empty(world).await?;
    Ok(event)
}

async fn is_waited_out(faults: impl Fn(&FaultProxy) -> Vec<(Fault, u32)>, slices: usize) -> Result<()> {
    let (world, proxy) = world_behind_proxy(ONE_BY_ONE).await?;
    let faults = faults(&proxy);
    let worker = world.worker().await?;
    let event = replicates(&world, &worker).await?;
    for (fault, hits) in &faults {
        assert_eq!(fault.hits(), *hits, "asked in a hurry, or not at all: {}", worker.log());
    }
    assert_eq!(event["data"]["attempts"], 1, "waiting is no try");
    assert_eq!(worker.log().matches("sas-not-usable-yet").count(), slices, "{}", worker.log());
    assert_eq!((made(&world, "west"), made(&world, "east")), (1, 2), "kept from slice to slice");
    Ok(())
}

#[tokio::test]
async fn until_the_source_can_be_listed() -> Result<()> {
    let fault = |proxy: &FaultProxy| vec![(proxy.fault(refused().path("/west/").query("comp=list").times(3)), 3)];
    is_waited_out(fault, 3).await
}

#[tokio::test]
async fn until_the_replica_can_be_listed() -> Result<()> {
    let fault = |proxy: &FaultProxy| vec![(proxy.fault(refused().path("/east/").query("comp=list").times(2)), 2)];
    is_waited_out(fault, 2).await
}

#[tokio::test]
async fn until_the_replica_can_be_written_to() -> Result<()> {
    let fault = |proxy: &FaultProxy| vec![(proxy.fault(refused().header("x-ms-copy-source").times(2)), 2)];
    is_waited_out(fault, 2).await
}

#[tokio::test]
async fn until_the_replicas_service_can_read_the_source() -> Result<()> {
    // Each slice signs anew once, which helps where a signature was the trouble.
    let fault = |proxy: &FaultProxy| vec![(proxy.fault(refused_source().times(4)), 4)];
    is_waited_out(fault, 2).await
}

#[tokio::test]
async fn until_the_copy_can_be_verified() -> Result<()> {
    // Both sites are listed at once.
    for site in ["/west/", "/east/"] {
        let list = || refused().path(site).query("comp=list").skip(1).times(1);
        is_waited_out(|proxy: &FaultProxy| vec![(proxy.fault(list()), 1)], 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn everywhere_at_first() -> Result<()> {
    let fault = |proxy: &FaultProxy| {
        let list = |site: &str| refused().path(site).query("comp=list").times(2);
        vec![
            (proxy.fault(list("/west/")), 2),
            (proxy.fault(list("/east/")), 2),
            (proxy.fault(refused().header("x-ms-copy-source").times(1)), 1),
            (proxy.fault(refused_source().times(2)), 2),
        ]
    };
    is_waited_out(fault, 6).await
}

/// Makes a locator of ours older than any lag, as one of an earlier try is.
fn age(world: &World, site: &str, locator: &str) -> Result<()> {
    let start = OffsetDateTime::now_utc() - Duration::hours(2);
    world.site(site).set(Set::Locators, locator, |row| {
        row.set("StartTime", start).set("ExpirationDateTime", start + Duration::hours(24));
    })
}

#[tokio::test]
async fn an_old_locator_that_is_refused_is_made_anew_and_costs_an_attempt() -> Result<()> {
    let (world, proxy) = world_behind_proxy(ONE_BY_ONE).await?;
    let fault = proxy.fault(refused().path("/west/").query("comp=list").times(1));
    let asset = world.encoded_asset("movie").await?;
    let leftover = plant(&world, "west", &asset.id, SasPurpose::Read).await?;
    age(&world, "west", &leftover.id.to_ams_v2())?;
    world.emulator.clear_requests();
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((fault.hits(), &event["data"]["attempts"]), (1, &2.into()), "{}", worker.log());
    assert!(worker.log().contains("sas-refused") && worker.log().contains("roll"), "{}", worker.log());
    assert_eq!(made(&world, "west"), 1, "anew");
    ensure_none_left(&world)?;
    ensure_one_replica(&world, &asset.id).await.map(drop)
}

#[tokio::test]
async fn an_old_locator_that_is_refused_is_deleted_although_another_job_of_the_process_holds_it() -> Result<()> {
    let sites = ["west", "east", "north"];
    let (world, proxy) = world_of_sites_behind_proxy(&sites, ONE_BY_ONE).await?;
    let asset = world.encoded_asset("movie").await?;
    let leftover = plant(&world, "west", &asset.id, SasPurpose::Read).await?;
    age(&world, "west", &leftover.id.to_ams_v2())?;
    world.emulator.clear_requests();
    // Both jobs have listed the source by then.
    let held = |set: &str, account: &str| {
        let hold = FaultRule::new(FaultAction::DelayMilliseconds(600_000));
        world.emulator.fault(hold.on("POST", set).of_account(account));
    };
    held("Assets", "eastmedia");
    held("Assets", "northmedia");
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    let both = || async { Ok((world.emulator.delayed().iter().count() == 2).then_some(())) };
    eventually("both jobs at their replicas", both).await.with_context(|| worker.log())?;

    // One of them finds out that it is dead while the other is busy elsewhere.
    held("Locators", "northmedia");
    let fault = proxy.fault(refused_source().path("/east/").times(2));
    world.emulator.release_delayed();
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(fault.hits(), 2, "{}", worker.log());
    assert_eq!(event["data"]["attempts"], 2, "{}", worker.log());
    assert_eq!(made(&world, "west"), 1, "anew, for the next try");
    world.emulator.release_delayed();
    next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(names(&world, &sites), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_locator_that_another_run_deletes_is_made_anew_and_costs_nothing() -> Result<()> {
    let (world, proxy) = world_behind_proxy(ONE_BY_ONE).await?;
    let asset = world.encoded_asset("movie").await?;
    let leftover = plant(&world, "west", &asset.id, SasPurpose::Read).await?;
    age(&world, "west", &leftover.id.to_ams_v2())?;
    // While the worker lists the source, the other run is done, and deletes what both have used.
    let hold = FaultRule::new(FaultAction::DelayMilliseconds(600_000));
    world.emulator.fault(hold.on("POST", "Assets").of_account("eastmedia"));
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    let is_held = || async { Ok(world.emulator.delayed().iter().next().is_some().then_some(())) };
    eventually("the replica asset", is_held).await.with_context(|| worker.log())?;
    let fault = proxy.fault(refused_source().times(2));
    let other = client(&world, "west")?;
    other.delete_sas_locators(&asset.id, SasPurpose::Read).await?;
    world.emulator.release_delayed();
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((fault.hits(), &event["data"]["attempts"]), (2, &1.into()), "{}", worker.log());
    assert!(worker.log().contains("was deleted meanwhile by another run"), "{}", worker.log());
    ensure_none_left(&world)?;
    ensure_one_replica(&world, &asset.id).await.map(drop)
}

/// Not a fault that was planted: what storage itself says while it does not know the locator's stored policy.
#[tokio::test]
async fn until_storage_knows_the_stored_policy() -> Result<()> {
    let (world, _proxy) = world_behind_proxy(ONE_BY_ONE).await?;
    let asset = world.encoded_asset("movie").await?;
    let locator = plant(&world, "west", &asset.id, SasPurpose::Read).await?;
    let (west, container) = (world.storage("west")?, container_of(&world, "west", &asset.id)?);
    let expiry = OffsetDateTime::now_utc() + Duration::hours(1);
    let known = StoredPolicy { id: locator.id.to_string(), permissions: "rl".into(), start: None, expiry };
    west.set_stored_policies(&container, &[]).await?;

    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let hold = FaultRule::new(FaultAction::DelayMilliseconds(600_000));
    world.emulator.fault(hold.on("POST", "Assets").of_account("eastmedia"));
    world.send_finished(&asset.id).await?;
    let waited = |times: usize| {
        let (worker, text) = (&worker, "sas-not-usable-yet");
        let seen = move || async move { Ok((worker.log().matches(text).count() >= times).then_some(())) };
        async move { eventually("one more wait", seen).await.with_context(|| worker.log()) }
    };
    waited(1).await?;
    west.set_stored_policies(&container, std::slice::from_ref(&known)).await?;
    let is_held = || async { Ok(world.emulator.delayed().iter().next().is_some().then_some(())) };
    eventually("the replica asset", is_held).await.with_context(|| worker.log())?;

    // It has listed the source by now; and the replica's service cannot read from it.
    west.set_stored_policies(&container, &[]).await?;
    let so_far = worker.log().matches("sas-not-usable-yet").count();
    world.emulator.release_delayed();
    waited(so_far + 1).await?;
    assert!(worker.log().contains("step=\"copy_blobs\" site=\"west\""), "{}", worker.log());
    west.set_stored_policies(&container, &[known]).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 1);
    ensure_none_left(&world)?;
    ensure_one_replica(&world, &asset.id).await.map(drop)
}
