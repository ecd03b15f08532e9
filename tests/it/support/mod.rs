//! What the stories share: the world around the worker, the worker as a process, waiting with a deadline.

mod echo;
pub mod failed;
mod ledger;
mod process;
pub mod rabbitmq;
pub mod refusal;
mod replica;
pub mod schemas;
mod secrets;
pub mod story;
mod terminal;
mod world;

pub use echo::Echo;
pub use ledger::{End, Ledger};
pub use process::{Worker, run_at_terminal, run_once};
pub use replica::{
    OUR_KEY, comparable, container_of, described_files, ensure_each_replicated, ensure_nothing_to_do,
    ensure_one_replica, ensure_queues_empty, workers_are_gone,
};
pub use secrets::Secrets;
pub use terminal::Terminal;
pub use world::{MEDIA_KEY, NEIGHBOUR, Published, World, media, next_event};

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};

/// How long anything in a test may take. Far above what it takes, so that a slow machine fails no test.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition without an event of its own is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Looks again and again until `look` finds something.
pub async fn eventually<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<T> {
    let end = tokio::time::Instant::now() + DEADLINE;
    while tokio::time::Instant::now() < end {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("waited {DEADLINE:?} in vain: {what}")
}

/// Waits for an event, but not for ever.
pub async fn within<T>(what: &str, event: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(DEADLINE, event).await {
        Ok(result) => result,
        Err(_) => bail!("waited {DEADLINE:?} in vain: {what}"),
    }
}
