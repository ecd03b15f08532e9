//! The worker as a process: its log lines on the screen as they come, its end by signal, and its end with ours.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tokio::sync::watch;

use super::ground::SETTINGS;
use super::screen::Screen;

/// Becomes the worker. The shell beside it reads a pipe whose other end only we hold, so that neither the worker nor its
/// settings (`$1` is their folder) outlive us, however we end. `$$` stays the worker's id: `exec` keeps it, and the group
/// holds it.
const GUARD: &str = r#"
dir=$1; shift; exec 3<&0
( read -r _ <&3; kill -KILL $$; rm -rf -- "$dir" ) >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null
"#;

/// A running worker; dropping it kills it.
pub(super) struct Worker {
    child: Child,
    pid: Pid,
    // our end of the pipe; taken out of the child, which would close it when it is waited for
    _alive: Option<ChildStdin>,
    log: Log,
}

/// What a worker has logged so far. Lives longer than the worker, to tell what went wrong.
#[derive(Clone)]
pub(super) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    changed: watch::Receiver<()>,
}

impl Worker {
    /// Starts `stream-replicator run` with the settings file in a folder and no other environment.
    pub(super) fn start(program: &Path, folder: &Path, screen: Arc<Screen>) -> Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", GUARD, "demo"])
            .args([folder, program])
            .arg("--config")
            .arg(folder.join(SETTINGS))
            .arg("run")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the worker")?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the worker has no process id")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (changes, changed) = watch::channel(());
        let errors = child.stderr.take().context("the worker has no standard error")?;
        tokio::spawn(read(errors, Arc::clone(&lines), changes, screen));
        Ok(Self { pid, _alive: child.stdin.take(), child, log: Log { lines, changed } })
    }

    /// Its log.
    pub(super) fn log(&self) -> Log {
        self.log.clone()
    }

    /// SIGTERM, then its exit code, once its last line is on the screen.
    pub(super) async fn terminate(&mut self) -> Result<i32> {
        kill_process(self.pid, Signal::TERM).context("the worker cannot be signalled")?;
        self.log.ends().await;
        let status = self.status().await?;
        status.code().with_context(|| format!("the worker was ended by a signal: {status}"))
    }

    /// Waits until it has ended, and says how.
    pub(super) async fn status(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("cannot wait for the worker")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // an error means that nothing is left to kill
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}

impl Log {
    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The last lines.
    pub(super) fn tail(&self, count: usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines[lines.len().saturating_sub(count)..].to_vec()
    }

    /// Waits for a line with this text behind the first `seen` lines.
    pub(super) async fn says(&mut self, text: &str, seen: usize) -> Result<()> {
        loop {
            let is_there = {
                let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.iter().skip(seen).any(|line| line.contains(text))
            };
            if is_there {
                return Ok(());
            }
            if self.changed.changed().await.is_err() {
                bail!("the worker ended without logging '{text}'");
            }
        }
    }

    /// Waits until there will be no more lines: the worker has ended.
    pub(super) async fn ends(&mut self) {
        while self.changed.changed().await.is_ok() {}
    }
}

/// Shows what the worker logs. The settings that it begins with are only counted: there are many.
async fn read(errors: ChildStderr, log: Arc<Mutex<Vec<String>>>, changes: watch::Sender<()>, screen: Arc<Screen>) {
    let mut lines = BufReader::new(errors).lines();
    let mut settings = Some(0);
    while let Ok(Some(line)) = lines.next_line().await {
        let shown = without_time(&line);
        if let Some(count) = settings {
            if shown.starts_with("INFO") && shown.contains(" = ") {
                settings = Some(count + 1);
                continue;
            }
            settings = None;
            if count > 0 {
                screen.step("worker", &format!("... {count} lines with its effective settings, secrets hidden"));
            }
        }
        screen.step("worker", shown);
        log.lock().unwrap_or_else(PoisonError::into_inner).push(shown.to_owned());
        changes.send_replace(());
    }
}

/// The screen has a clock of its own.
fn without_time(line: &str) -> &str {
    let rest = line.split_once(' ').filter(|(time, _)| time.ends_with('Z') && time.contains('T'));
    rest.map_or(line, |(_, rest)| rest.trim_start())
}
