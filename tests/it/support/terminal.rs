//! A terminal of its own for a command that goes on: what it shows, keys that are pressed, another size.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};

use super::{eventually, within};

/// Where a frame begins and ends.
const HOME: &str = "\u{1b}[H";
const END: &str = "\u{1b}[J";
/// Shown when the command has ended: how the terminal is then.
const ENDED: &str = "ended with ";

/// A terminal; what runs there is killed when it is dropped.
pub struct Terminal {
    script: Child,
    shown: Arc<Mutex<String>>,
    /// Where the terminal's name is written.
    name: PathBuf,
}

impl Terminal {
    /// Runs a command of the program at a terminal of so many columns and 40 lines.
    pub async fn run(config: &Path, columns: u16, arguments: &[&str]) -> Result<Self> {
        let name = config.with_file_name("tty");
        let line = format!(
            "trap : INT; stty cols {columns} rows 40; tty > {name}; {program} {arguments}; code=$?; echo \"{ENDED}$code\"; stty -a; exit $code",
            name = name.display(),
            program = env!("CARGO_BIN_EXE_stream-replicator"),
            arguments = arguments.join(" "),
        );
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH")).env("TERM", "xterm");
        command.env("STREAM_REPLICATOR_CONFIG", config).env("SHELL", "/bin/sh").kill_on_drop(true);
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("`script`")?;
        let shown = Arc::new(Mutex::new(String::new()));
        tokio::spawn(keep(script.stdout.take().context("no standard output")?, Arc::clone(&shown)));
        Ok(Self { script, shown, name })
    }

    /// Everything that it has shown so far, with what commands the terminal.
    pub fn shown(&self) -> String {
        self.shown.lock().map(|shown| shown.clone()).unwrap_or_default()
    }

    /// Waits until a frame fits that came after the first `since` letters; gives that frame, and where it ends.
    pub async fn frame(&self, since: usize, what: &str, fits: impl Fn(&str) -> bool) -> Result<(String, usize)> {
        let look = || async {
            let shown = self.shown();
            let Some((before, _)) = shown.rsplit_once(END) else { return Ok(None) };
            let frame = before.rsplit_once(HOME).map_or(before, |(_, frame)| frame);
            Ok((before.len() > since && fits(frame)).then(|| (frame.to_owned(), before.len())))
        };
        let last = || self.shown().rsplit(HOME).next().map(|frame| format!("{frame:?}")).unwrap_or_default();
        eventually(what, look).await.with_context(last)
    }

    /// Presses keys.
    pub async fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.script.stdin.as_mut().context("no standard input")?.write_all(keys.as_bytes()).await?)
    }

    /// Gives it so many columns, of which the kernel tells who runs there.
    pub async fn resize(&self, columns: u16) -> Result<()> {
        let name = std::fs::read_to_string(&self.name)?;
        let done = Command::new("stty").args(["-F", name.trim(), "cols", &columns.to_string()]).status().await?;
        anyhow::ensure!(done.success(), "no other size");
        Ok(())
    }

    /// Waits for the command's end: its exit code, and everything that was shown.
    pub async fn end(mut self) -> Result<(Option<i32>, String)> {
        let ended = within("the end at the terminal", async { Ok(self.script.wait().await?) }).await;
        let code = ended?.code();
        let last = || async { Ok(self.shown().contains(ENDED).then(|| self.shown())) };
        Ok((code, eventually("the last of it", last).await.with_context(|| self.shown())?))
    }
}

async fn keep(mut output: ChildStdout, shown: Arc<Mutex<String>>) {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    while let Ok(count @ 1..) = output.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..count]);
        if let Ok(mut shown) = shown.lock() {
            *shown = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}
