//! Wire formats of messages, both ways: bytes to a request, a replica to a CloudEvent. Never sees a channel.

mod ams_v2_notification;
mod asyncapi;
mod audit;
mod cloud_event;
mod finished;
mod incoming;
mod message;
mod replicated;
mod replication_failed;
mod schema;
mod subject;
mod times;

pub use asyncapi::asyncapi;
pub use audit::{AUDIT_CONTENT_TYPE, AuditAction, AuditRecord};
pub use finished::{encode_job, parse_asset_id};
pub use incoming::parse;
pub use message::{Incoming, OutgoingEvent, Parsed, fallback_id};
pub use replicated::encode_replicated;
pub use replication_failed::{FailedSite, GivenUp, encode_replication_failed};
pub use schema::EventSchema;
pub use subject::{Subject, find_subject};
pub use times::{format as format_time, parse as parse_time};

use uuid::Uuid;

/// The namespace of all ids that we derive (uuid v5), so that equal facts give equal ids for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x5a3c_8f10_6b1d_4e0e_9d57_2f6a_41c7_9b02);

/// An id derived from facts: equal facts give equal ids.
fn derived_id(facts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, facts.join("\n").as_bytes())
}
