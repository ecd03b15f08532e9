//! Dead letters at the broker: their log is read without touching them, and their queue is emptied one by one.
//!
//! A quorum queue cannot be browsed: every message that is taken and given back counts as a delivery, and at the delivery
//! limit the broker drops it. So whoever only looks reads the log, a stream, and only who moves letters takes them.

mod letter;
mod log;
mod outgoing;
mod queue;

pub use letter::{Death, Letter};
pub use log::{DeadLog, LogEntry};
pub use outgoing::OutgoingWatch;
pub use queue::{HandingBack, Held, LetterQueue};
