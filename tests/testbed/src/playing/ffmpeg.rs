//! FFmpeg as a child process that says nothing but warnings and errors.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::find_program;
use crate::process::guard::{Guarded, Launch, wait_for};

/// The file that takes its warnings and errors, inside its folder.
const LOG: &str = "ffmpeg.log";

/// A running FFmpeg; dropping it kills it.
pub(super) struct Ffmpeg {
    process: Guarded,
}

impl Ffmpeg {
    /// Starts it in `dir`, which goes with us if we are killed.
    pub(super) fn start(dir: &Path, args: Vec<String>) -> Result<Self> {
        let quiet = ["-nostdin", "-hide_banner", "-loglevel", "warning", "-y"].map(str::to_owned);
        let process = Guarded::spawn(Launch {
            program: find_program("ffmpeg")?,
            args: quiet.into_iter().chain(args).collect(),
            env: vec![("HOME", dir.display().to_string())],
            dir,
            log: &dir.join(LOG),
            remove_dir: true,
        })?;
        Ok(Self { process })
    }

    /// Whether it has not ended yet.
    pub(super) fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// Waits until it has done its work.
    pub(super) fn wait(mut self, limit: Duration) -> Result<()> {
        let status = wait_for("ffmpeg", limit, || self.process.ended()).with_context(|| self.process.tail())?;
        ensure!(status.success(), "ffmpeg failed ({status}); its last output:\n{}", self.process.tail());
        Ok(())
    }
}

/// What an FFmpeg in `dir` has said.
pub(super) fn warnings(dir: &Path) -> Result<Vec<String>> {
    let text = std::fs::read(dir.join(LOG)).context("ffmpeg's output cannot be read")?;
    // a line may be rewritten in place after a carriage return
    let text = String::from_utf8_lossy(&text).replace('\r', "\n");
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}
