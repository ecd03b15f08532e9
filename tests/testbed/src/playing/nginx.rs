//! A private nginx: own directory, own port, no rights; the site servers and the front are made of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use super::find_program;
use crate::process::guard::{Guarded, Launch, free_ports, loopback, wait_for};

const START_LIMIT: Duration = Duration::from_secs(20);
/// Longer than the `worker_shutdown_timeout` below.
const QUIT_LIMIT: Duration = Duration::from_secs(20);
/// How often another program may take our port between the choice and the start.
const START_TRIES: u32 = 3;
const PID_FILE: &str = "nginx.pid";
const ACCESS_LOG: &str = "access.log";

/// What all of our servers have in common. Paths are inside the process's own directory. A client that leaves does not
/// end its request, so that a player that has seen enough leaves no failure in the log (nginx would write 499).
const COMMON: &str = r"
daemon off;
worker_processes 1;
worker_shutdown_timeout 10s;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
    log_format requests '$status\t$request_method\t$request_uri\t$upstream_addr\t$body_bytes_sent'
        '\t$sent_http_content_length';
    access_log access.log requests;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    merge_slashes off;
    proxy_http_version 1.1;
    proxy_redirect off;
    proxy_ignore_client_abort on;
    server { listen unix:.log.sock; access_log off; return 204; }
";
/// Answers when all that was answered before is in the log: nginx writes a line after the answer, before anything else.
/// No site has a name with a dot.
const LOG_SOCKET: &str = ".log.sock";

/// A request that a server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status that the client got.
    pub status: u16,
    /// The method.
    pub method: String,
    /// The path as the client wrote it, with its query.
    pub path: String,
    /// Whom the server asked behind it, in this order; the last one's answer went back. Empty where it answered by
    /// itself.
    pub asked: Vec<String>,
    /// Whether the client got as many bytes as the answer announced, where it did.
    pub is_whole: bool,
}

/// A running nginx; dropping it ends it and removes its directory.
pub(super) struct Nginx {
    port: u16,
    process: Mutex<Option<Guarded>>,
    dir: TempDir,
}

impl Nginx {
    /// Starts one with these `server` and `upstream` blocks, which are told its port.
    pub(super) async fn start(blocks: impl Fn(u16) -> String + Send + 'static) -> Result<Self> {
        tokio::task::spawn_blocking(move || {
            for _ in 1..START_TRIES {
                match Self::create(&blocks) {
                    Err(error) if format!("{error:#}").contains("Address already in use") => {}
                    done => return done,
                }
            }
            Self::create(&blocks)
        })
        .await?
    }

    fn create(blocks: impl Fn(u16) -> String) -> Result<Self> {
        let [port] = free_ports()?;
        let dir = tempfile::Builder::new().prefix("testbed-nginx-").tempdir()?;
        // its worker would go over to another user, who may not enter the directory
        let user = if geteuid().is_root() { "user root;" } else { "" };
        std::fs::write(dir.path().join("nginx.conf"), format!("{user}{COMMON}{}}}\n", blocks(port)))?;
        let process = Mutex::new(Some(run(dir.path())?));
        Ok(Self { port, process, dir })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it at once; its connections break.
    pub(super) fn stop(&self) {
        *self.process() = None;
        // its worker may live a moment longer than itself
        let _ = wait_for("the end of nginx", QUIT_LIMIT, || {
            Ok(TcpStream::connect(loopback(self.port)).is_err().then_some(()))
        });
    }

    /// Lets it answer what it has begun and then end.
    pub(super) async fn quit(&self) -> Result<()> {
        let Some(mut process) = self.process().take() else { return Ok(()) };
        tokio::task::spawn_blocking(move || {
            process.signal(Signal::QUIT)?;
            wait_for("the end of nginx", QUIT_LIMIT, || process.ended()).map(drop)
        })
        .await?
    }

    /// Starts it again on the same port, after a stop where it still runs.
    pub(super) async fn restart(&self) -> Result<()> {
        self.stop();
        let dir = self.dir.path().to_owned();
        let process = tokio::task::spawn_blocking(move || run(&dir)).await??;
        *self.process() = Some(process);
        Ok(())
    }

    /// What it has answered so far, in this order.
    pub(super) fn answered(&self) -> Result<Vec<Answered>> {
        if let Ok(mut socket) = UnixStream::connect(self.dir.path().join(LOG_SOCKET)) {
            socket.set_read_timeout(Some(START_LIMIT))?;
            // where it stops meanwhile, there is nothing to wait for
            let _ = socket.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| socket.read_to_end(&mut Vec::new()));
        }
        let log = std::fs::read_to_string(self.dir.path().join(ACCESS_LOG)).context("nginx's log cannot be read")?;
        // the last line may be half written
        let lines = log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.map(|line| parse(line).with_context(|| format!("nginx logged an odd line: {line}"))).collect()
    }

    fn process(&self) -> MutexGuard<'_, Option<Guarded>> {
        // a panic elsewhere leaves nothing half done in here
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(dir: &Path) -> Result<Guarded> {
    let pid_file = dir.join(PID_FILE);
    // what a killed one left
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path == pid_file || path.extension().is_some_and(|ending| ending == "sock") {
            std::fs::remove_file(path)?;
        }
    }
    let mut process = Guarded::spawn(Launch {
        program: find_program("nginx")?,
        args: ["-p", ".", "-c", "nginx.conf", "-e", "stderr"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        dir,
        log: &dir.join("nginx.log"),
        remove_dir: true,
    })?;
    // nginx writes its id when it listens everywhere
    let listens = wait_for("nginx", START_LIMIT, || {
        process.check_alive("nginx")?;
        Ok(std::fs::read_to_string(&pid_file).ok().filter(|id| id.ends_with('\n')))
    });
    listens.with_context(|| process.tail())?;
    Ok(process)
}

fn parse(line: &str) -> Option<Answered> {
    let fields: Vec<_> = line.split('\t').collect();
    let &[status, method, path, asked, sent, length] = fields.as_slice() else { return None };
    let asked = asked.split(", ").filter(|server| *server != "-").map(str::to_owned).collect();
    // nginx's own $request_completion says OK of an answer that its upstream broke off
    let is_whole = method == "HEAD" || length == "-" || sent == length;
    let (method, path) = (method.to_owned(), path.to_owned());
    Some(Answered { status: status.parse().ok()?, method, path, asked, is_whole })
}
