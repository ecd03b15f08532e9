//! Stops a run: at the first error, at a signal, and when a letter that it has moved comes back.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::summary::Summary;
use crate::rabbitmq::DeadLog;

/// The brake of one run; clones are the same brake.
#[derive(Clone)]
pub struct Brake {
    token: CancellationToken,
    reason: Arc<OnceLock<String>>,
    returned: Arc<Mutex<Vec<Summary>>>,
    count: watch::Sender<usize>,
}

impl Brake {
    /// One that is off.
    pub fn new() -> Self {
        let (token, reason) = (CancellationToken::new(), Arc::default());
        Self { token, reason, returned: Arc::default(), count: watch::channel(0).0 }
    }

    /// Stops the run. The first reason stays.
    pub fn stop(&self, reason: impl Into<String>) {
        self.reason.get_or_init(|| reason.into());
        self.token.cancel();
    }

    /// Whether the run is to stop.
    pub fn is_on(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the run is to stop.
    pub async fn wait(&self) {
        self.token.cancelled().await;
    }

    /// Why it is to stop, once it is.
    pub fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    /// The letters that came back so far.
    pub fn returned(&self) -> Vec<Summary> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until one has come back.
    pub async fn wait_for_return(&self) {
        let mut count = self.count.subscribe();
        // The sender lives as long as this brake.
        let _ = count.wait_for(|count| *count > 0).await;
    }

    /// Watches the log for letters of this run until the task is aborted; with `stops` the first one stops the run.
    pub fn watch(&self, mut log: DeadLog, run: String, stops: bool) -> JoinHandle<()> {
        let brake = self.clone();
        tokio::spawn(async move {
            loop {
                let entry = match log.next().await {
                    Ok(Some(entry)) => entry,
                    Ok(None) => return,
                    Err(error) => return brake.stop(error.to_string()),
                };
                let Some(letter) = Summary::read(&entry.letter) else { continue };
                if letter.replay_run.as_ref() != Some(&run) {
                    continue;
                }
                let code = letter.code.as_deref().or(letter.class.as_deref()).unwrap_or("-");
                let reason = format!("letter {} of this run has come back ({code})", letter.id);
                brake.returned.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
                brake.count.send_modify(|count| *count += 1);
                if stops {
                    brake.stop(reason);
                }
            }
        })
    }
}
