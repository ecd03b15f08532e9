//! Random failures that come in the same order whenever the seed is the same.

use serde::{Deserialize, Serialize};

use crate::cloud::operation::Operation;
use crate::cloud::state::content::mix;

/// Shares of the requests (0 to 1) that fail, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The same seed fails the same requests, counted in the order in which they come.
    pub seed: u64,
    /// Answered 500 OperationTimedOut; nothing is done.
    pub timeout_share: f64,
    /// Answered 503 ServerBusy; nothing is done.
    pub busy_share: f64,
    /// The connection ends without an answer; nothing is done.
    pub reset_share: f64,
    /// The connection ends without an answer, but what was asked for is done.
    pub reset_after_share: f64,
    /// Only these operations; empty means all.
    pub operations: Vec<Operation>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Timeout,
    Busy,
    Reset,
    ResetAfter,
}

impl Faults {
    /// What goes wrong with request `number`, if anything does.
    pub(crate) fn draw(&self, operation: Operation, number: u64) -> Option<Fault> {
        if !self.operations.is_empty() && !self.operations.contains(&operation) {
            return None;
        }
        let shares = [
            (self.timeout_share, Fault::Timeout),
            (self.busy_share, Fault::Busy),
            (self.reset_share, Fault::Reset),
            (self.reset_after_share, Fault::ResetAfter),
        ];
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let mut at = (mix(self.seed, number) >> 11) as f64 / (1_u64 << 53) as f64;
        for (share, fault) in shares {
            if at < share {
                return Some(fault);
            }
            at -= share;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_kept_and_the_seed_decides() {
        let faults = Faults { seed: 5, timeout_share: 0.1, reset_share: 0.2, ..Faults::default() };
        let draw = |faults: &Faults| (0..10_000).map(|n| faults.draw(Operation::GetBlob, n)).collect::<Vec<_>>();
        let drawn = draw(&faults);
        let count = |fault| drawn.iter().filter(|one| **one == fault).count();
        assert!((900..1100).contains(&count(Some(Fault::Timeout))), "{}", count(Some(Fault::Timeout)));
        assert!((1850..2150).contains(&count(Some(Fault::Reset))), "{}", count(Some(Fault::Reset)));
        assert_eq!(count(Some(Fault::Busy)), 0);
        assert_eq!(draw(&faults), drawn);
        assert_ne!(draw(&Faults { seed: 6, ..faults.clone() }), drawn);
        let only = Faults { busy_share: 1.0, operations: vec![Operation::CopyBlob], ..Faults::default() };
        assert_eq!(only.draw(Operation::CopyBlob, 1), Some(Fault::Busy));
        assert_eq!(only.draw(Operation::GetBlob, 1), None);
    }
}
