//! What a service manager is told by a worker (sd_notify(3)): ready, alive, stopping; never ready while the broker is away.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdSocket};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testbed::tcp_proxy::TcpProxy;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::support::rabbitmq::url_through;
use crate::support::{World, eventually, next_event, within};

/// A service manager that listens.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    fn listen(socket: StdSocket) -> Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: UnixDatagram::from_std(socket)?, told: Vec::new() })
    }

    /// Waits until a line is told that begins so, and so many times at least.
    async fn hears(&mut self, line: &str, times: usize) -> Result<()> {
        let mut buffer = [0; 4096];
        let heard = async {
            while self.count(line) < times {
                let length = self.socket.recv(&mut buffer).await?;
                self.told.extend(std::str::from_utf8(&buffer[..length])?.lines().map(str::to_owned));
            }
            Ok(())
        };
        within(line, heard).await.with_context(|| format!("{:?}", self.told))
    }

    fn count(&self, line: &str) -> usize {
        self.told.iter().filter(|told| told.starts_with(line)).count()
    }
}

/// A worker as a service manager starts it, with a watchdog of three tenths of a second.
fn start(world: &World, socket: &str) -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-replicator"));
    command.arg("run").env_clear().env("STREAM_REPLICATOR_CONFIG", world.config());
    command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", "300000");
    Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?)
}

async fn terminate(worker: &mut Child) -> Result<Option<i32>> {
    let pid = worker.id().context("has ended already")?;
    Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
    Ok(within("the worker's end", async { Ok(worker.wait().await?) }).await?.code())
}

#[tokio::test]
async fn the_service_manager_hears_when_the_worker_is_ready_that_it_lives_and_that_it_stops() -> Result<()> {
    let world = World::start().await?;
    let wire = TcpProxy::before_port(world.vhost.broker().amqp_port()).await?;
    world.change_config(&world.vhost.amqp_url(), &url_through(&wire, &world.vhost))?;
    wire.refuse_next(u32::MAX);
    let socket = world.config().with_file_name("notify");
    let mut manager = Manager::listen(StdSocket::bind(&socket)?)?;
    let mut worker = start(&world, socket.to_str().context("odd path")?)?;

    manager.hears("STATUS=not ready: broker ", 1).await?;
    manager.hears("EXTEND_TIMEOUT_USEC=300000", 3).await?;
    ensure!(manager.count("READY=1") == 0 && manager.count("WATCHDOG=1") >= 3, "{:?}", manager.told);
    wire.refuse_next(0);
    manager.hears("READY=1", 1).await?;
    let extended = manager.count("EXTEND_TIMEOUT_USEC");
    let alive = manager.count("WATCHDOG=1");
    manager.hears("WATCHDOG=1", alive + 3).await?;
    assert_eq!(manager.count("EXTEND_TIMEOUT_USEC"), extended, "it has started");

    wire.refuse_next(u32::MAX);
    wire.reset();
    let unready = manager.count("STATUS=not ready: ");
    manager.hears("STATUS=not ready: ", unready + 1).await?;
    wire.refuse_next(0);
    manager.hears("STATUS=ready", 2).await?;
    assert_eq!(manager.count("READY=1"), 1, "a service starts once");
    ensure!(manager.count("STOPPING=1") == 0);
    assert_eq!(terminate(&mut worker).await?, Some(0));
    manager.hears("STOPPING=1", 1).await
}

#[tokio::test]
async fn a_socket_without_a_file_is_found_and_one_that_nobody_reads_stops_nothing() -> Result<()> {
    let world = World::start().await?;
    let name = format!("stream-replicator-{}", Uuid::new_v4().simple());
    let mut manager = Manager::listen(StdSocket::bind_addr(&SocketAddr::from_abstract_name(&name)?)?)?;
    let mut worker = start(&world, &format!("@{name}"))?;
    manager.hears("READY=1", 1).await?;
    // who does not listen any more keeps nobody from working
    drop(manager);
    let mut events = world.events().await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    next_event(&mut events).await?;
    assert_eq!(terminate(&mut worker).await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_worker_whose_service_manager_is_not_there_works() -> Result<()> {
    let world = World::start().await?;
    let mut worker = start(&world, "/nowhere/notify")?;
    let declared = || async { Ok(world.vhost.queue_depth("replication.work").await?.map(drop)) };
    eventually("the work queue", declared).await?;
    assert_eq!(terminate(&mut worker).await?, Some(0));
    Ok(())
}
