//! The shipped program as a process: started, read, killed.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::eventually;

/// A running worker; killed when dropped.
pub struct Worker {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Worker {
    /// Starts `stream-replicator run` with a settings file and waits until it consumes.
    pub async fn start(config: &Path) -> Result<Self> {
        let worker = Self::spawn(config)?;
        worker.logs("consuming").await?;
        Ok(worker)
    }

    /// Starts it and waits for nothing.
    pub fn spawn(config: &Path) -> Result<Self> {
        Self::spawn_command(config, &["run"])
    }

    /// Starts any command of the program and waits for nothing.
    pub fn spawn_command(config: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = command(config).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        tokio::spawn(keep(child.stdout.take().context("no standard output")?, Arc::clone(&log)));
        tokio::spawn(keep(child.stderr.take().context("no standard error")?, Arc::clone(&log)));
        Ok(Self { child, log })
    }

    /// Everything it has printed so far, to standard output and standard error.
    pub fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Waits until it has logged a text.
    pub async fn logs(&self, text: &str) -> Result<()> {
        let seen = || async { Ok(self.log().contains(text).then_some(())) };
        eventually(&format!("log line with '{text}'"), seen).await.with_context(|| self.log())
    }

    /// The most memory that it ever had, in KiB (`VmHWM`, proc(5)).
    pub fn peak_memory_kib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Memory of its own that it has now, in KiB (`RssAnon`, proc(5)): without the program and the libraries.
    pub fn memory_kib(&self) -> Result<u64> {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let pid = self.child.id().context("has ended already")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        line.split_whitespace().next().unwrap_or_default().parse().context("no number")
    }

    /// SIGKILL: it gets no chance to tidy up.
    pub async fn kill(mut self) -> Result<()> {
        self.kill_in_place().await
    }

    /// The same, and it stays for its log, until another one takes its place.
    pub async fn kill_in_place(&mut self) -> Result<()> {
        self.child.kill().await.context("cannot be killed")
    }

    /// SIGTERM, then its exit code.
    pub async fn terminate(mut self) -> Result<Option<i32>> {
        self.signal_termination().await?;
        self.exit_code().await
    }

    /// SIGTERM, and no waiting.
    pub async fn signal_termination(&self) -> Result<()> {
        let pid = self.child.id().context("has ended already")?;
        Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        Ok(())
    }

    /// Waits for its end; `None` when a signal ended it.
    pub async fn exit_code(&mut self) -> Result<Option<i32>> {
        let end = super::within("the worker's end", async { Ok(self.child.wait().await?) }).await;
        Ok(end.with_context(|| self.log())?.code())
    }
}

/// Appends every line to the log.
async fn keep(output: impl AsyncRead + Unpin, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(mut log) = log.lock() {
            log.push_str(&line);
            log.push('\n');
        }
    }
}

/// Runs one command of the program to its end.
pub async fn run_once(config: &Path, arguments: &[&str]) -> Result<Output> {
    let output = async { Ok(command(config).args(arguments).output().await?) };
    super::within(&arguments.join(" "), output).await
}

/// Runs one command of the program to its end at a terminal of its own; gives what the terminal showed and the exit code.
pub async fn run_at_terminal(config: &Path, arguments: &[&str]) -> Result<(String, Option<i32>)> {
    let line = format!("{} {}", env!("CARGO_BIN_EXE_stream-replicator"), arguments.join(" "));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH")).env("TERM", "xterm");
    command.env("STREAM_REPLICATOR_CONFIG", config).stdin(Stdio::null()).kill_on_drop(true);
    let output = super::within(&line, async { command.output().await.context("`script` is not there") }).await?;
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code()))
}

fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-replicator"));
    command.env_clear().env("STREAM_REPLICATOR_CONFIG", config).kill_on_drop(true);
    command
}
