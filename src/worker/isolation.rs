//! Who may run beside whom: a message that came back unsettled again and again may be what kills the process.
//!
//! A worker that dies takes all its deliveries along: the broker counts every one of them, and dead-letters what it has
//! counted too often. So innocent messages would die with the deadly one beside which they are taken again and again. What
//! came back a few times therefore runs alone: it can only kill itself, and whoever survives his turn is done.

use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::sleep;

use crate::rabbitmq::Delivery;

/// What came back so often runs alone; well below the work queue's delivery limit.
const SUSPECT_FROM: u32 = 3;
/// A suspect lets others go first for this long for each time that it came back, up to [`MOST_STEPS`], ..
const STEP: Duration = Duration::from_millis(50);
const MOST_STEPS: u32 = 6;
/// .. and for a random part of this, so that of several suspects none is always behind the deadly one.
const LOTTERY: Duration = Duration::from_millis(500);

/// Gives each delivery its turn. Fair: who came first goes first, and nobody passes one that waits to be alone.
#[derive(Debug, Default)]
pub struct Isolation(RwLock<()>);

/// The right to run, until it is dropped.
#[must_use = "it ends when it is dropped"]
pub enum Turn<'a> {
    /// Beside others.
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'a, ()>),
    /// Alone.
    Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'a, ()>),
}

impl Isolation {
    /// Waits until a delivery may run. Safe to cancel, and to be bounded by whoever waits. Whoever has a turn must not wait
    /// for another delivery.
    pub async fn turn(&self, delivery: &Delivery) -> Turn<'_> {
        let returns = delivery.returns();
        if returns < SUSPECT_FROM {
            return Turn::Shared(self.0.read().await);
        }
        sleep(STEP * returns.min(MOST_STEPS) + LOTTERY.mul_f64(rand::random())).await;
        let turn = Turn::Alone(self.0.write().await);
        tracing::warn!(returns, "came back unsettled again and again: runs alone, as it may be what ends the worker");
        turn
    }
}
