//! The broker: the only room that names lapin. It moves bytes and headers, and knows neither JSON nor jobs.
//!
//! A [`Session`] is two connections, one to consume and one to publish, and ends as a whole at the first error: nothing is
//! recovered inside it. Who uses it waits for [`Session::ended`], closes it and opens the next one.

mod carry;
mod connection;
mod consume;
mod dead_letters;
mod declare;
mod definitions;
mod depths;
mod error;
mod headers;
mod message;
mod migrate;
mod publish;
mod report;
mod session;
mod topology;

pub use consume::{Deliveries, Delivery};
pub use dead_letters::{DeadLog, Death, HandingBack, Held, Letter, LetterQueue, LogEntry, OutgoingWatch};
pub use declare::{apply, check};
pub use definitions::Definitions;
pub use depths::{Depth, Depths};
pub use error::{PublishError, RabbitmqError};
pub use headers::{DROPPED_HEADERS, HeaderValue, Headers};
pub use message::Message;
pub use migrate::{MigrateError, Migrated, holding_queue, migrate};
pub use publish::Publisher;
pub use report::{Finding, Kind, NotCompared, State, TopologyReport};
pub use session::Session;
pub use topology::{Binding, Exchange, ExchangeKind, Queue, Topology, delay_name};
