//! Waits for what becomes of the first letters of a run, before the others follow.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::brake::Brake;
use super::summary::Summary;
use crate::rabbitmq::{Message, OutgoingWatch};
use crate::worker::history::REPLAY_RUN;

/// The type of event that says that all went well (contract: events).
const REPLICATED: &str = "media.asset.replicated.v1";
/// Ids of AMS v2 assets; a letter about anything else may become events about any asset.
const ASSET: &str = "nb:cid:";

/// Waits until every canary was announced as replicated at least once.
///
/// # Errors
/// Says what happened instead: one came back, the run was stopped, or nothing was heard in time.
pub async fn wait(
    events: &mut OutgoingWatch,
    canaries: &[Summary],
    run: &str,
    brake: &Brake,
    patience: Duration,
) -> Result<(), String> {
    let end = Instant::now() + patience;
    let mut waiting: Vec<_> = canaries.iter().collect();
    while !waiting.is_empty() {
        tokio::select! {
            biased;
            () = brake.wait() => return Err(brake.reason().unwrap_or("stopped").to_owned()),
            () = brake.wait_for_return() => {
                let returned: Vec<_> = brake.returned().into_iter().map(|letter| letter.id).collect();
                return Err(format!("a canary came back: {}", returned.join(", ")));
            }
            event = events.next() => match event {
                Some((_, event)) => {
                    if let Some(at) = answered(&waiting, &event, run) {
                        waiting.remove(at);
                    }
                }
                None => return Err("the connection to the broker is lost".to_owned()),
            },
            () = sleep_until(end) => {
                let ids: Vec<_> = waiting.iter().map(|letter| letter.id.as_str()).collect();
                let seconds = patience.as_secs();
                return Err(format!("after {seconds} s nothing was heard of {}; it may still be tried", ids.join(", ")));
            }
        }
    }
    Ok(())
}

/// Which of those that wait the event is about.
fn answered(waiting: &[&Summary], event: &Message, run: &str) -> Option<usize> {
    if event.headers.get_text(REPLAY_RUN) != Some(run) || event.kind.as_deref() != Some(REPLICATED) {
        return None;
    }
    let asset = |letter: &&Summary| letter.asset.clone().filter(|asset| asset.starts_with(ASSET));
    let about = event.correlation_id.as_deref();
    waiting
        .iter()
        .position(|letter| asset(letter).is_some_and(|asset| about.is_some_and(|id| id.eq_ignore_ascii_case(&asset))))
        .or_else(|| waiting.iter().position(|letter| asset(letter).is_none()))
}
