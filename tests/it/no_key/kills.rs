//! `kill -9` wherever a SAS locator is made, used or deleted: the next worker finds what is left by name, uses it, deletes it.

use anyhow::{Context, Result};
use testbed::emulator::{FaultAction, FaultRule};
use testbed::proxy::{Action, FaultProxy, Rule};

use super::scene::{ensure_none_left, names, world_behind_proxy};
use crate::support::{World, ensure_one_replica, ensure_queues_empty, eventually, next_event};

/// Longer than any test, in milliseconds.
const HELD: u64 = 600_000;
/// Copies one after the other, so that "the second file" is one and the same moment in every run.
const ONE_BY_ONE: &str = "[copy]\nmax_requests = 1\n";

/// What is held at the moment of the kill.
enum Hold {
    /// A call of the media service.
    Service(FaultRule),
    /// A call of the blob service.
    Storage(Rule),
}

fn held(method: &str, set: &str, site: &str) -> FaultRule {
    FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on(method, set).of_account(&format!("{site}media"))
}

/// The call has taken effect, and nobody hears of it.
fn after(method: &str, set: &str, site: &str) -> Hold {
    Hold::Service(held(method, set, site).after_commit())
}

/// The call is made, and has not taken effect.
fn before(method: &str, set: &str, site: &str) -> Hold {
    Hold::Service(held(method, set, site))
}

fn at_copy_of(file: &str) -> Hold {
    Hold::Storage(Rule::new(Action::Hang).header("x-ms-copy-source").path(file).times(1))
}

fn at_verification() -> Hold {
    Hold::Storage(Rule::new(Action::Hang).path("/west/").query("comp=list").skip(1).times(1))
}

macro_rules! killed {
    ($($name:ident: $left:literal, [$($hold:expr),+];)*) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            killed_at(vec![$($hold),+], $left).await
        })*
    };
}

// How many SAS locators the last kill leaves, and where each one happens.
killed! {
    after_the_policy_of_the_source: 0, [after("POST", "AccessPolicies", "west")];
    after_the_locator_of_the_source: 1, [after("POST", "Locators", "west")];
    after_the_replica_asset: 1, [after("POST", "Assets", "east")];
    after_the_policy_of_the_replica: 1, [after("POST", "AccessPolicies", "east")];
    after_the_locator_of_the_replica: 2, [after("POST", "Locators", "east")];
    in_mid_copy: 2, [at_copy_of("movie_480x270_180.mp4")];
    at_the_verification: 2, [at_verification()];
    after_the_registration: 2, [after("GET", "CreateFileInfos", "east")];
    before_the_first_deletion: 2, [before("DELETE", "Locators", "west")];
    after_the_first_deletion: 1, [after("DELETE", "Locators", "west")];
    before_the_second_deletion: 1, [before("DELETE", "Locators", "east")];
    after_the_second_deletion: 0, [after("DELETE", "Locators", "east")];
    again_and_again: 2, [
        after("POST", "Locators", "west"), after("POST", "Assets", "east"), after("POST", "Locators", "east"),
        at_copy_of("movie_640x360_320.mp4"), after("DELETE", "Locators", "west"), before("DELETE", "Locators", "west")
    ];
}

async fn killed_at(holds: Vec<Hold>, left: usize) -> Result<()> {
    let (world, proxy) = world_behind_proxy(ONE_BY_ONE).await?;
    let asset = world.encoded_asset("movie").await?;
    // The first worker declares the exchanges; it goes before there is anything to do.
    assert_eq!(world.worker().await?.terminate().await?, Some(0));
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    for hold in holds {
        kill_at(&world, &proxy, hold).await?;
    }
    assert_eq!(names(&world, &["west", "east"]).len(), left);
    let worker = world.worker().await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["data"]["attempts"], 1);
    ensure_none_left(&world).with_context(|| worker.log())?;
    ensure_one_replica(&world, &asset.id).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

/// Lets a new worker run into `hold`, and kills it there.
async fn kill_at(world: &World, proxy: &FaultProxy, hold: Hold) -> Result<()> {
    let delayed = || world.emulator.delayed().iter().count();
    let before = delayed();
    let fault = match hold {
        Hold::Service(rule) => {
            world.emulator.fault(rule);
            None
        }
        Hold::Storage(rule) => Some(proxy.fault(rule)),
    };
    let worker = world.worker().await?;
    let is_held = || fault.as_ref().map_or_else(|| delayed() > before, |fault| fault.hits() > 0);
    let held = eventually("the held call", || async { Ok(is_held().then_some(())) }).await;
    held.with_context(|| worker.log())?;
    worker.kill().await?;
    world.emulator.clear_faults();
    proxy.clear_faults();
    Ok(())
}

#[tokio::test]
async fn between_two_slices() -> Result<()> {
    let (world, proxy) = world_behind_proxy("").await?;
    let fault = proxy.fault(Rule::answer(403, "AuthenticationFailed").path("/east/").query("comp=list").times(1));
    let asset = world.encoded_asset("movie").await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    worker.logs("sas-not-usable-yet").await?;
    worker.kill().await?;
    assert_eq!((fault.hits(), names(&world, &["west", "east"]).len()), (1, 2));
    let worker = world.worker().await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    ensure_none_left(&world)?;
    ensure_one_replica(&world, &asset.id).await?;
    ensure_queues_empty(&world).await
}
