//! A broker that takes back what is held for ten seconds: long jobs are done in slices, and nobody ever runs into its limit.

use anyhow::{Context, Result, ensure};
use testbed::emulator::{FaultAction, FaultRule};
use testbed::process::{RabbitMq, RabbitOptions};
use testbed::proxy::{Action, FaultProxy, Rule};
use tokio::time::{Duration, Instant};

use super::scene::ENDED;
use crate::slices::asset_of;
use crate::support::story::SITES;
use crate::support::{End, Ledger, World, ensure_each_replicated};

/// What the broker allows a consumer, in milliseconds.
const CONSUMER_TIMEOUT: u64 = 10_000;
/// What the broker logs when it takes deliveries back (RabbitMQ 3.10 and 4).
const TIMED_OUT: &str = "has timed out waiting";
/// How long the job takes at least, and what it is made of.
const JOB: Duration = Duration::from_secs(40);
const FILES: usize = 76;
const COPY: Duration = Duration::from_millis(1_100);
const COPIES_AT_ONCE: usize = 2;
/// Far above what it takes.
const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test]
async fn a_job_of_forty_seconds_with_a_consumer_timeout_of_ten() -> Result<()> {
    let options = RabbitOptions { consumer_timeout_ms: Some(CONSUMER_TIMEOUT), ..RabbitOptions::default() };
    let broker = RabbitMq::start(options).await?;
    let world = World::at_broker(&broker).await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("azurite has no address")?).await?;
    let settings = format!("[worker]\nslice_seconds = 2\n[copy]\nmax_requests = {COPIES_AT_ONCE}\n");
    world.write_config_with_blob_url(&SITES, &settings, proxy.url())?;
    let worker = world.worker().await?;
    let mut ledger = Ledger::open(&world).await?;
    let large = asset_of(&world, FILES).await?;
    proxy.fault(Rule::new(Action::Delay(COPY)).header("x-ms-copy-source").path("/segment-"));
    let begun = Instant::now();
    ledger.send_finished(&world, &large.id).await?;
    ledger.settle(&world, LIMIT).await.with_context(|| worker.log())?;
    ensure!(begun.elapsed() >= JOB, "a job of only {:?}", begun.elapsed());
    let log = worker.log();
    assert_eq!(worker.terminate().await?, Some(0));
    ensure!(!log.contains(ENDED), "{log}");
    let slices = log.matches("code=\"slice-spent\"").count();
    ensure!(slices >= 5, "{slices} slices: {log}");
    let ledger = ledger.close(&world).await?;
    assert_eq!((ledger.with_end(End::Done).len(), ledger.events_seen()), (1, 1), "one event");
    ensure_each_replicated(&world, &[large]).await?;
    // It writes its log out at its end at the latest.
    broker.stop().await?;
    ensure!(!broker.log()?.contains(TIMED_OUT), "{}", broker.log()?);
    Ok(())
}

/// A call that hangs for longer than the broker's limit: the channel is closed, and the next session does it all.
#[tokio::test]
async fn a_consumer_timeout_ends_the_session_and_the_next_one_goes_on() -> Result<()> {
    let options = RabbitOptions { consumer_timeout_ms: Some(CONSUMER_TIMEOUT), ..RabbitOptions::default() };
    let broker = RabbitMq::start(options).await?;
    let world = World::at_broker(&broker).await?;
    let worker = world.worker().await?;
    let mut ledger = Ledger::open(&world).await?;
    let hang = FaultRule::new(FaultAction::DelayMilliseconds(super::scene::HELD)).on("POST", "Assets").after_commit();
    world.emulator.fault(hang);
    let mut assets = Vec::new();
    for _ in 0..3 {
        assets.push(world.encoded_asset("movie").await?);
        ledger.send_finished(&world, &assets[assets.len() - 1].id).await?;
    }
    worker.logs(ENDED).await?;
    ledger.settle(&world, LIMIT).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    let ledger = ledger.close(&world).await?;
    assert_eq!(ledger.with_end(End::Done).len(), 3);
    ensure_each_replicated(&world, &assets).await?;
    broker.stop().await?;
    ensure!(broker.log()?.contains(TIMED_OUT), "it ended for another reason: {}", broker.log()?);
    Ok(())
}
