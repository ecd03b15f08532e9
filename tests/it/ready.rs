//! Readiness that tells the truth: a file that is there only while the worker takes deliveries and can settle them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::amqp::{Amqp, Outgoing};
use testbed::emulator::{FaultAction, FaultRule};
use testbed::process::{Vhost, start_rabbitmq};
use testbed::tcp_proxy::TcpProxy;

use crate::support::rabbitmq::{Operator, url_through};
use crate::support::story::SITES;
use crate::support::{Worker, World, eventually, next_event, run_once};

/// Writes settings with a ready file, and with the broker at another address.
fn write_config(world: &World, broker_url: &str) -> Result<PathBuf> {
    let file = world.config().with_file_name("ready");
    world.write_config(&SITES, &format!("[worker]\nready_file = '{}'\n", file.display()))?;
    let text = std::fs::read_to_string(world.config())?;
    std::fs::write(world.config(), text.replace(&world.vhost.amqp_url(), broker_url))?;
    Ok(file)
}

async fn becomes(ready: bool, file: &Path, worker: &Worker) -> Result<()> {
    let look = || async { Ok((file.exists() == ready).then_some(())) };
    eventually(&format!("ready: {ready}"), look).await.with_context(|| worker.log())
}

fn hold_next_job(world: &World) {
    let held = FaultRule::new(FaultAction::DelayMilliseconds(600_000)).on("GET", "Assets").of_account("westmedia");
    world.emulator.fault(held);
}

async fn is_held(world: &World) -> Result<()> {
    let is_held = || async { Ok((world.emulator.delayed().iter().count() > 0).then_some(())) };
    eventually("the held job", is_held).await
}

#[tokio::test]
async fn a_worker_is_ready_while_it_has_its_broker_and_not_from_sigterm_on() -> Result<()> {
    let world = World::start().await?;
    let wire = TcpProxy::before_port(world.vhost.broker().amqp_port()).await?;
    let file = write_config(&world, &url_through(&wire, &world.vhost))?;
    let mut worker = world.worker().await?;
    becomes(true, &file, &worker).await?;

    wire.refuse_next(u32::MAX);
    wire.reset();
    becomes(false, &file, &worker).await?;
    wire.refuse_next(0);
    becomes(true, &file, &worker).await?;
    // The file is there before the line is.
    let changes = || [" INFO ready", " WARN not ready reason="].map(|text| worker.log().matches(text).count());
    eventually("a line for each change", || async { Ok((changes().iter().sum::<usize>() >= 3).then_some(())) }).await?;
    ensure!(changes() == [2, 1], "each change is told once, not each try: {}", worker.log());

    // A job that still runs keeps the process alive, and does not make it ready.
    hold_next_job(&world);
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    is_held(&world).await?;
    worker.signal_termination().await?;
    becomes(false, &file, &worker).await?;
    ensure!(!worker.log().contains("stopped done="), "the job had ended already");
    world.emulator.release_delayed();
    assert_eq!(worker.exit_code().await?, Some(0));
    ensure!(!file.exists());
    Ok(())
}

#[tokio::test]
async fn what_a_killed_worker_has_left_is_removed_before_the_broker_is_asked() -> Result<()> {
    let world = World::start().await?;
    let file = write_config(&world, &world.vhost.amqp_url())?;
    let worker = world.worker().await?;
    becomes(true, &file, &worker).await?;
    worker.kill().await?;
    ensure!(file.exists(), "a killed process tidies nothing up");
    // Nobody listens on port 1.
    write_config(&world, "amqp://u:p@127.0.0.1:1/x")?;
    let worker = Worker::spawn(&world.config())?;
    worker.logs("broker cannot be used").await?;
    ensure!(!file.exists(), "not ready: {}", worker.log());
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_at_the_start() -> Result<()> {
    let world = World::start().await?;
    world.write_config(&SITES, "[worker]\nready_file = '/nowhere/ready'\n")?;
    let output = run_once(&world.config(), &["run"]).await?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(64) && told.contains("worker.ready_file: cannot be written"), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_the_brokers_alarm_blocks_is_not_ready() -> Result<()> {
    let (world, node) = (World::start().await?, start_rabbitmq().await?);
    let vhost = Vhost::create(node.broker()).await?;
    let file = write_config(&world, &vhost.amqp_url())?;
    let worker = world.worker().await?;
    becomes(true, &file, &worker).await?;
    // A broker blocks those who publish: the worker does when this job goes on, to tell of an asset that is not there.
    hold_next_job(&world);
    let body = json!({ "site": "west", "asset": { "id": "nb:cid:UUID:00000000-0000-0000-0000-000000000001" } });
    let message = Outgoing { body: body.to_string().into(), ..Outgoing::default() };
    let amqp = Amqp::connect(&vhost.amqp_url()).await?;
    amqp.publish("media.events", "media.encoding.finished.test", message).await?;
    is_held(&world).await?;
    node.ctl(&["set_vm_memory_high_watermark", "absolute", "10MB"]).await?;
    world.emulator.release_delayed();
    becomes(false, &file, &worker).await?;
    worker.logs("not ready reason=\"the broker blocks the connection").await?;
    node.ctl(&["set_vm_memory_high_watermark", "0.4"]).await?;
    becomes(true, &file, &worker).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_worker_that_can_settle_nothing_is_not_ready() -> Result<()> {
    let world = World::start().await?;
    let file = write_config(&world, &world.vhost.amqp_url())?;
    let worker = world.worker().await?;
    becomes(true, &file, &worker).await?;
    let operator = Operator::connect(&world.vhost).await?;
    operator.unbind("replication.unrouted", "replication.unrouted", "").await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    becomes(false, &file, &worker).await?;
    worker.logs("not ready reason=\"the broker refuses what settles deliveries").await?;

    let mut events = world.events().await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    becomes(true, &file, &worker).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_worker_that_only_checks_consumes_nothing_before_all_is_there_to_settle_with() -> Result<()> {
    let world = World::start().await?;
    let file = write_config(&world, &world.vhost.amqp_url())?;
    assert_eq!(world.worker().await?.terminate().await?, Some(0), "has declared everything");
    let operator = Operator::connect(&world.vhost).await?;
    operator.delete_queue("replication.retry.1s").await?;
    operator.delete_exchange("media.replication").await?;
    world.change_config("[rabbitmq]", "[rabbitmq]\ntopology = 'check'")?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let worker = Worker::spawn(&world.config())?;
    let missing = "settle its deliveries without: exchange media.replication; queue replication.retry.1s; run `stream";
    worker.logs(missing).await?;
    ensure!(!file.exists() && world.vhost.queue_depth("replication.work").await? == Some(1), "{}", worker.log());

    let applied = run_once(&world.config(), &["topology", "apply"]).await?;
    ensure!(applied.status.success(), "{applied:?}");
    becomes(true, &file, &worker).await?;
    let done = || async { Ok((worker.log().contains(" replicated ")).then_some(())) };
    eventually("the replica", done).await.with_context(|| worker.log())?;
    ensure!(worker.log().matches(missing).count() == 1, "told once: {}", worker.log());
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

/// lapin's buffers alone were 16 MiB of it once.
#[tokio::test]
async fn an_idle_worker_keeps_little_memory() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    // it has worked, and has nothing more to do
    let (mut events, asset) = (world.events().await?, world.encoded_asset("movie").await?);
    world.send_finished(&asset.id).await?;
    next_event(&mut events).await.with_context(|| worker.log())?;
    let kept = worker.memory_kib()?;
    ensure!(kept < 16 * 1024, "{kept} KiB");
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}
