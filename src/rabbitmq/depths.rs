//! How many messages wait in each of our queues. Looks only: passive declarations, which need no permission.

use super::declare::Declarer;
use super::{RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// A connection over which depths are asked for, again and again.
pub struct Depths {
    declarer: Declarer,
    queues: Vec<String>,
}

/// The messages that are ready in a queue, by the queue's name; `None` where there is no such queue.
pub type Depth = (String, Option<u32>);

impl Depths {
    /// Connects.
    ///
    /// # Errors
    /// When the broker cannot be used.
    pub async fn open(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        let topology = Topology::new(settings);
        // What lies in a stream is not waiting for anybody.
        let log = topology.dead_log();
        let queues = topology.queues().into_iter().map(|queue| queue.name).filter(|name| *name != log).collect();
        Ok(Self { declarer: Declarer::open(settings).await?, queues })
    }

    /// The depth of every queue, in the order of the topology. The broker counts what is ready, not what is in hand.
    ///
    /// # Errors
    /// When the broker does not answer: this connection is of no use then.
    pub async fn look(&mut self) -> Result<Vec<Depth>, RabbitmqError> {
        let mut depths = Vec::with_capacity(self.queues.len());
        for queue in &self.queues {
            let counts = self.declarer.find_counts(queue).await?;
            depths.push((queue.clone(), counts.map(|counts| counts.ready)));
        }
        Ok(depths)
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.declarer.close().await;
    }
}
