//! Job notifications of Azure Media Services v2, as a queue or a webhook delivers them (contract ams-v2, section 7).

use serde_json::{Map, Value};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::finished::parse_id;
use super::message::{Incoming, Parsed, fallback_id};
use super::times;
use crate::failure::Failure;
use crate::model::{AssetRef, EncodingJobState, ReplicationRequest};

/// Whether a body is such a notification.
pub fn is_one(members: &Map<String, Value>) -> bool {
    ["MessageVersion", "EventType", "Properties"].iter().all(|name| members.contains_key(*name))
}

/// Reads a notification. Only a job that has ended is for us; the job is then asked for its outputs.
pub fn parse(members: &Map<String, Value>, message: &Incoming<'_>) -> Result<Parsed, Failure> {
    let kind = members.get("EventType").and_then(event_type);
    let ignored = |reason, detail: &str| Ok(Parsed::Ignored { reason, detail: detail.to_owned() });
    match kind {
        Some(EventType::JobStateChange) => {}
        Some(EventType::Task) => {
            return ignored("task-notification", "state or progress of a task: its job tells when it ends");
        }
        Some(EventType::Registration) => {
            return ignored("registration", "a notification endpoint was registered or removed");
        }
        None => {
            return Err(Failure::invalid(
                "unknown-event-type",
                "`EventType` is none of the notification's known types",
            ));
        }
    }
    let property = |name: &str| members["Properties"].get(name).and_then(Value::as_str);
    let state = match property("NewState").unwrap_or_default() {
        "Finished" => EncodingJobState::Finished,
        "Error" => EncodingJobState::Error,
        "Canceled" | "Cancelled" => EncodingJobState::Canceled,
        state @ ("Queued" | "Scheduled" | "Processing" | "Canceling" | "Cancelling") => {
            return ignored("job-not-ended", state);
        }
        _ => {
            return Err(Failure::invalid("unknown-job-state", "`Properties.NewState` is none of the known job states"));
        }
    };
    let job = property("JobId").ok_or_else(|| Failure::invalid("no-asset", "`Properties.JobId` is missing"))?;
    let time = members.get("TimeStamp").and_then(Value::as_str).and_then(parse_time);
    let id = members.get("ETag").and_then(Value::as_str).filter(|etag| !etag.is_empty());
    Ok(Parsed::Request(Box::new(ReplicationRequest {
        id: id.map_or_else(|| fallback_id(message), str::to_owned),
        site: None,
        account: property("AccountName").map(str::to_owned),
        asset: AssetRef::EncodingJob(parse_id("Properties.JobId", "nb:jid:UUID:", job)?),
        encoding_job_state: Some(state),
        finished_at: time,
        expected: None,
        valid_until: None,
        replica: None,
        correlation: [("jobId".to_owned(), job.to_owned())].into(),
        traceparent: message.traceparent(None),
    })))
}

enum EventType {
    JobStateChange,
    Task,
    Registration,
}

/// A name in queue messages, a number in webhooks.
fn event_type(value: &Value) -> Option<EventType> {
    match (value.as_str(), value.as_u64()) {
        (Some("JobStateChange"), _) | (_, Some(1)) => Some(EventType::JobStateChange),
        (Some("TaskStateChange" | "TaskProgress"), _) | (_, Some(4 | 5)) => Some(EventType::Task),
        (Some("NotificationEndPointRegistration" | "NotificationEndPointUnregistration" | "None"), _)
        | (_, Some(0 | 2 | 3)) => Some(EventType::Registration),
        _ => None,
    }
}

/// With a zone in version 1.1, without one (UTC) in 1.0.
fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let iso = time::format_description::well_known::Iso8601::DEFAULT;
    times::parse(text).or_else(|| PrimitiveDateTime::parse(text, &iso).ok().map(PrimitiveDateTime::assume_utc))
}
