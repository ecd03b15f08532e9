//! Shows again and again that the worker is alive: its event loop turns, and no delivery stays in its hands for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::context::Context;

/// How often.
const BEAT: Duration = Duration::from_secs(1);
/// So much later than a delivery's whole time nobody may hold it: then something is stuck that nothing could stop.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Beats until it is dropped.
pub fn begin(context: &Arc<Context>) -> AbortOnDropHandle<()> {
    let context = Arc::clone(context);
    let longest = Duration::from_secs(context.worker.max_hold_seconds) + STUCK_AFTER;
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            context.in_hand.tell();
            let stuck = context.in_hand.longest().filter(|held| *held > longest);
            context.health.beat(stuck);
        }
    }))
}
