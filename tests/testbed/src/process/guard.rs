//! A child process that ends with its owner, however the owner ends.
//!
//! The child leads a process group of its own. Beside it, in that group, a small shell reads a pipe whose other end only
//! we hold. When that end closes (we dropped it, exited, or were killed), the shell kills the child and clears its
//! directory. The kernel's parent-death signal would not do: it follows the thread that spawned, and test threads end.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use uuid::Uuid;

/// `$1` is a directory to remove at the end (or empty), the rest the command. `$$` stays the command's own id: `exec`
/// keeps it, and the reading shell holds the group, so that the id cannot be given to another process meanwhile.
const SCRIPT: &str = r#"
dir=$1; shift; exec 3<&0
( read -r _ <&3; kill -KILL $$; [ -z "$dir" ] || rm -rf -- "$dir" || { sleep 1; rm -rf -- "$dir"; }; kill -KILL 0 ) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
"#;

/// Where our ports begin; one that a service has already is passed over.
const FIRST_PORT: u16 = 16_000;
const PORT_TRIES: usize = 100;

/// What to start.
pub(crate) struct Launch<'a> {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// The child's whole environment, but for `PATH`.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Its working directory.
    pub(crate) dir: &'a Path,
    /// Takes its output.
    pub(crate) log: &'a Path,
    /// Remove `dir` when we die without having cleaned up.
    pub(crate) remove_dir: bool,
}

/// A running child; dropping it kills it with all that it started.
pub(crate) struct Guarded {
    child: Child,
    log: PathBuf,
}

impl Guarded {
    pub(crate) fn spawn(launch: Launch<'_>) -> Result<Self> {
        let log = File::options().create(true).append(true).open(launch.log)?;
        let removed = if launch.remove_dir { launch.dir } else { Path::new("") };
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "testbed"])
            .arg(removed)
            .arg(&launch.program)
            .args(&launch.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()))
            .env("LANG", "C.UTF-8")
            .envs(launch.env)
            .current_dir(launch.dir)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", launch.program.display()))?;
        Ok(Self { child, log: launch.log.to_owned() })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for the state of a child process")
    }

    /// An error with the last lines of the child's output when it has ended.
    pub(crate) fn check_alive(&mut self, name: &str) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{name} ended early ({status}); its last output:\n{}", self.tail());
        }
        Ok(())
    }

    /// The last lines of the child's output.
    pub(crate) fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Signals the child alone.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_none() {
            kill_process(Pid::from_child(&self.child), signal).context("cannot signal a child process")?;
        }
        Ok(())
    }

    /// Asks the child to end, waits for it, and kills it when it is not gone after `limit`.
    pub(crate) fn stop(mut self, limit: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        let patience = Instant::now() + limit;
        while self.ended()?.is_none() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // errors mean that nothing is left to kill
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Polls `look` until it finds something; an error of `look` or the deadline ends the wait.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what} was not ready within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// `N` different free ports of the loopback address. They can be lost again before they are used, but not to an outgoing
/// connection, as of a client that tries a stopped server's port again and again: a server finds its own free at its next
/// start.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = listen_somewhere().context("no free port on the loopback address")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Below the ports that the kernel gives to outgoing connections (ip(7), `ip_local_port_range`), at random, as others look
/// for ports too; where that finds none, on any port.
fn listen_somewhere() -> io::Result<TcpListener> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first_outgoing = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(0_u16);
    (0..PORT_TRIES)
        .find_map(|_| {
            let [.., high, low] = Uuid::new_v4().into_bytes();
            let random = u16::from_be_bytes([high, low]);
            let port = FIRST_PORT + random.checked_rem(first_outgoing.saturating_sub(FIRST_PORT))?;
            TcpListener::bind(loopback(port)).ok()
        })
        .map_or_else(|| TcpListener::bind(loopback(0)), Ok)
}

/// A loopback socket address.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
