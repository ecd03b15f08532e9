//! The broker: the only room that names lapin. It moves bytes and headers, and knows neither JSON nor jobs.
//!
//! A [`Session`] is two connections, one to consume and one to publish, and ends as a whole at the first error: nothing is
//! recovered inside it. Who uses it waits for [`Session::ended`], closes it and opens the next one.

mod connection;
mod consume;
mod declare;
mod error;
mod headers;
mod message;
mod publish;
mod session;
mod topology;

pub use consume::{Deliveries, Delivery};
pub use declare::{TopologyReport, apply, check};
pub use error::{PublishError, RabbitmqError};
pub use headers::{DROPPED_HEADERS, HeaderValue, Headers};
pub use message::Message;
pub use publish::Publisher;
pub use session::Session;
pub use topology::{Binding, Exchange, ExchangeKind, Queue, Topology, delay_name};
