//! Makes a queue anew whose properties are not those of the settings, and carries its messages over: nothing is lost, and
//! what was cut short is finished by running it again.
//!
//! 1. A holding queue `<queue>.moving` is bound like the queue itself, so that what arrives from now on is in both.
//! 2. The queue's messages are moved there.
//! 3. The queue is deleted, and made anew with its bindings.
//! 4. The holding queue's bindings go, its messages are moved back, and it is deleted.
//!
//! A message that arrives between 1 and 3 comes twice, which no part of this program minds. A run that finds the queue as
//! it should be and a holding queue begins at 4.

use super::carry::Carrier;
use super::declare::{Declarer, Item};
use super::topology::NO_DELIVERY_LIMIT;
use super::{Binding, Exchange, Queue, RabbitmqError, State, Topology};
use crate::settings::RabbitmqSettings;

/// What [`migrate`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// Whether there was anything to do.
    pub needed: bool,
    /// How many messages were brought to safety before the queue was deleted.
    pub held: u64,
    /// How many messages are in the new queue; more than `held` where some arrived meanwhile, or an earlier run was cut
    /// short.
    pub returned: u64,
}

/// Why a queue was not made anew.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum MigrateError {
    /// No queue of ours has that name.
    #[error("queue {queue} is none of these settings: choose one of {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        queue: String,
        /// Which there are.
        known: Vec<String>,
    },
    /// Somebody consumes it, and would lose what it has not acknowledged yet.
    #[error(
        "queue {queue} has {consumers} consumers: stop the workers first, and end every dead-letters command (the letters that \
         one holds are not noticed)"
    )]
    InUse {
        /// The queue.
        queue: String,
        /// How many.
        consumers: u32,
    },
    /// A queue did not take a message.
    #[error("queue {queue} did not take a message: {reply}; nothing is lost: see to it, and run this again")]
    NotTaken {
        /// The queue.
        queue: String,
        /// What the broker says.
        reply: String,
    },
    /// The broker cannot be used, or refuses.
    #[error(transparent)]
    Broker(#[from] RabbitmqError),
}

/// The name of the queue that holds another one's messages while it is made anew, and of the exchange to it.
#[must_use]
pub fn holding_queue(queue: &str) -> String {
    format!("{queue}.moving")
}

/// Makes a queue of ours anew where it is not as the settings say. Needs the permission to configure, write and read.
///
/// # Errors
/// See [`MigrateError`]. After any of them the messages are in the queue or in its holding queue, and the same call goes on
/// from there.
pub async fn migrate(settings: &RabbitmqSettings, queue: &str) -> Result<Migrated, MigrateError> {
    let topology = Topology::new(settings);
    let queues = topology.queues();
    let Some(target) = queues.iter().find(|one| one.name == queue) else {
        let known = queues.into_iter().map(|queue| queue.name).collect();
        return Err(MigrateError::Unknown { queue: queue.to_owned(), known });
    };
    let bindings: Vec<_> = topology.bindings().into_iter().filter(|binding| binding.queue == queue).collect();
    let mut exchanges = topology.exchanges();
    exchanges.retain(|exchange| bindings.iter().any(|binding| binding.exchange == exchange.name));
    let mut declarer = Declarer::open(settings).await?;
    let result = Migration { declarer: &mut declarer, target, exchanges, bindings }.run().await;
    declarer.close().await;
    result
}

struct Migration<'a> {
    declarer: &'a mut Declarer,
    target: &'a Queue,
    exchanges: Vec<Exchange>,
    bindings: Vec<Binding>,
}

impl Migration<'_> {
    async fn run(mut self) -> Result<Migrated, MigrateError> {
        let (name, holding) = (self.target.name.clone(), holding_queue(&self.target.name));
        let target = Item::Queue(self.target.clone());
        let (state, _) = self.declarer.compare(&target).await?;
        let is_held = self.declarer.find_counts(&holding).await?.is_some();
        if state == State::Same && !is_held {
            return Ok(Migrated { needed: false, held: 0, returned: 0 });
        }
        // `topology apply` makes none of them while anything is different.
        for exchange in std::mem::take(&mut self.exchanges) {
            let exchange = Item::Exchange(exchange);
            if self.declarer.compare(&exchange).await?.0 == State::Missing {
                self.declarer.make(&exchange).await?;
            }
        }
        let mut held = 0;
        let is_different = matches!(state, State::Different(_));
        if is_different {
            self.ensure_unused(&name).await?;
            self.declarer.make(&Item::Queue(self.holding_queue())).await?;
            for binding in &self.bindings {
                self.declarer.bind(&Binding { queue: holding.clone(), ..binding.clone() }).await?;
            }
            let carrier = Carrier::open(self.declarer, &holding).await?;
            held = carrier.carry(&name, &holding, self.is_stream()).await?;
            self.ensure_unused(&name).await?;
            carrier.delete_queue(&name).await?;
        }
        self.declarer.make(&target).await?;
        for binding in &self.bindings {
            self.declarer.bind(binding).await?;
        }
        let mut returned = 0;
        // Without it the queue was simply missing.
        if is_held || is_different {
            let carrier = Carrier::open(self.declarer, &holding).await?;
            for binding in &self.bindings {
                carrier.unbind(&holding, binding).await?;
            }
            returned = carrier.carry(&holding, &name, self.is_stream()).await?;
            carrier.delete_queue(&holding).await?;
            carrier.delete_exchange().await?;
        }
        Ok(Migrated { needed: true, held, returned })
    }

    /// Of the same type, and without anything that would let messages go.
    fn holding_queue(&self) -> Queue {
        let mut arguments = self.target.arguments.clone();
        arguments.retain(|name, _| matches!(*name, "x-queue-type" | "x-delivery-limit"));
        if let Some(limit) = arguments.get_mut("x-delivery-limit") {
            *limit = NO_DELIVERY_LIMIT.into();
        }
        Queue { name: holding_queue(&self.target.name), arguments }
    }

    fn is_stream(&self) -> bool {
        self.target.arguments.get("x-queue-type") == Some(&"stream".into())
    }

    async fn ensure_unused(&mut self, queue: &str) -> Result<(), MigrateError> {
        match self.declarer.find_counts(queue).await?.map_or(0, |counts| counts.consumers) {
            0 => Ok(()),
            consumers => Err(MigrateError::InUse { queue: queue.to_owned(), consumers }),
        }
    }
}
