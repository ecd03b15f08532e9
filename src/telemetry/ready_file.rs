//! A file that is there only while the worker is ready: what a probe can ask (`test -f`) without a network.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Health, Readiness, health};

/// Keeps the file; dropping it removes the file.
#[derive(Debug)]
pub struct ReadyFile {
    path: PathBuf,
    keeping: AbortHandle,
}

impl ReadyFile {
    /// Removes what an earlier process that was killed has left, and keeps the file from now on.
    ///
    /// # Errors
    /// When a file cannot be made and removed there.
    pub fn keep(path: &Path, health: &Health) -> io::Result<Self> {
        // Under another name: whoever looks must not see the file before the worker is ready.
        let mut beside = path.as_os_str().to_owned();
        beside.push(".try");
        fs::write(&beside, "")?;
        fs::remove_file(&beside)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let keeping = tokio::spawn(follow(path.to_owned(), health.watch())).abort_handle();
        Ok(Self { path: path.to_owned(), keeping })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        self.keeping.abort();
        // Most often it has been removed when the worker was told to stop.
        let _ = fs::remove_file(&self.path);
    }
}

async fn follow(path: PathBuf, mut states: watch::Receiver<health::State>) {
    let mut is_there = false;
    loop {
        let is_ready = states.borrow_and_update().readiness == Readiness::Ready;
        if is_ready != is_there {
            let changed = if is_ready { write(&path) } else { fs::remove_file(&path) };
            if let Err(error) = changed {
                tracing::error!(file = %path.display(), error = %error, is_ready, "worker.ready_file cannot follow");
            }
            is_there = is_ready;
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// With the process id in it, for people.
fn write(path: &Path) -> io::Result<()> {
    fs::write(path, format!("{}\n", std::process::id()))
}
