//! Brokers and Azurite as child processes: they start, serve, survive a kill, and end with their owner.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use testbed::process::{ACCOUNTS, Azurite, RabbitMq, RabbitOptions, Vhost, shared};

fn is_running(pid: u32) -> bool {
    // a zombie has ended: nobody waits for the children of a killed owner in some containers
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_for_end(pid: u32) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_running(pid) {
        ensure!(Instant::now() < deadline, "process {pid} still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

async fn publish_one(url: &str, queue: &str) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    channel.confirm_select(Default::default()).await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let publish = BasicPublishOptions::default();
    channel.basic_publish("".into(), queue.into(), publish, b"hello", properties).await?.await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

#[tokio::test]
async fn a_vhost_lives_as_long_as_its_test() -> Result<()> {
    let shared = shared().await?;
    let vhost = shared.vhost().await?;
    ensure!(vhost.queue_depth("work").await?.is_none());
    publish_one(&vhost.amqp_url(), "work").await?;
    ensure!(vhost.queue_depth("work").await? == Some(1));
    let (name, url) = (vhost.name().to_owned(), vhost.amqp_url());
    let elsewhere = shared.broker().amqp_url_as(vhost.user(), vhost.password(), "/");
    ensure!(Connection::connect(&elsewhere, ConnectionProperties::default()).await.is_err());
    drop(vhost);
    ensure!(Connection::connect(&url, ConnectionProperties::default()).await.is_err(), "{name} is still there");
    Ok(())
}

#[tokio::test]
async fn a_node_keeps_its_messages_over_kill_and_stop() -> Result<()> {
    let node = RabbitMq::start(RabbitOptions { consumer_timeout_ms: Some(10_000), ..RabbitOptions::default() }).await?;
    let vhost = Vhost::create(&node).await?;
    publish_one(&vhost.amqp_url(), "work").await?;
    node.sync_declarations().await?;
    let pid = node.pid();
    node.kill();
    ensure!(node.pid().is_none() && !pid.is_some_and(is_running));
    node.restart().await?;
    holds_one(&vhost).await?;
    node.stop().await?;
    ensure!(vhost.queue_depth("work").await.is_err());
    node.restart().await?;
    holds_one(&vhost).await?;
    let timeout = node.ctl(&["eval", "application:get_env(rabbit, consumer_timeout)."]).await?;
    ensure!(timeout.contains("10000"), "{timeout}");
    let pid = node.pid().unwrap_or_default();
    drop((vhost, node));
    ensure!(!is_running(pid));
    Ok(())
}

/// A node greets before it has all of its queues again.
async fn holds_one(vhost: &Vhost) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match vhost.queue_depth("work").await? {
            Some(1) => return Ok(()),
            other => ensure!(Instant::now() < end, "the queue has {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn two_azurites_run_side_by_side() -> Result<()> {
    let (one, two) = tokio::try_join!(Azurite::start(&ACCOUNTS), Azurite::start(&ACCOUNTS))?;
    ensure!(one.endpoint() != two.endpoint());
    let pids = [one.pid(), two.pid()];
    ensure!(pids.into_iter().all(is_running));
    drop((one, two));
    ensure!(!pids.into_iter().any(is_running));
    Ok(())
}

/// The owner here is this test binary, started once more with a variable that makes it wait to be killed.
#[tokio::test]
async fn nothing_outlives_a_killed_owner() -> Result<()> {
    const ROLE: &str = "TESTBED_OWNER_TO_KILL";
    if let Ok(report) = std::env::var(ROLE) {
        let node = RabbitMq::start(RabbitOptions { management: false, ..RabbitOptions::default() }).await?;
        let azurite = Azurite::start(&ACCOUNTS).await?;
        let pids = format!("{} {}\n", node.pid().unwrap_or_default(), azurite.pid());
        std::fs::write(format!("{report}.part"), pids)?;
        std::fs::rename(format!("{report}.part"), report)?;
        return std::future::pending().await;
    }
    let dir = tempfile::tempdir()?;
    let report = dir.path().join("pids");
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "nothing_outlives_a_killed_owner", "--nocapture"])
        .env(ROLE, &report)
        .env("TMPDIR", dir.path())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !report.exists() && Instant::now() < deadline && owner.try_wait()?.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    owner.kill()?;
    owner.wait()?;
    let pids = std::fs::read_to_string(&report)?;
    for pid in pids.split_whitespace() {
        wait_for_end(pid.parse()?)?;
    }
    // directories go too, a moment after the processes
    while has_leftovers(dir.path())? && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(!has_leftovers(dir.path())?, "directories of the killed owner are left");
    Ok(())
}

fn has_leftovers(dir: &Path) -> Result<bool> {
    Ok(std::fs::read_dir(dir)?.filter_map(Result::ok).any(|entry| entry.file_name() != "pids"))
}

#[test]
fn with_testbed_passes_addresses_and_exit_codes_on() -> Result<()> {
    let script = "[ -n \"$TESTBED_RABBITMQ$TESTBED_RABBITMQ_MANAGEMENT\" ] && [ -n \"$TESTBED_AZURITE\" ] && exit 7";
    let status = Command::new(env!("CARGO_BIN_EXE_with-testbed")).args(["sh", "-c", script]).status()?;
    ensure!(status.code() == Some(7), "{status}");
    Ok(())
}

#[test]
fn with_testbed_passes_signals_on_and_ends_all() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let started = dir.path().join("started");
    let mut testbed = Command::new(env!("CARGO_BIN_EXE_with-testbed"))
        .args(["--", "sh", "-c", "touch \"$1\"; exec sleep 600", "sh"])
        .arg(&started)
        .env("TMPDIR", dir.path())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(120);
    while !started.exists() && testbed.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&testbed);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    ensure!(testbed.wait()?.code() == Some(143));
    std::fs::remove_file(started)?;
    ensure!(!has_leftovers(dir.path())?);
    Ok(())
}
