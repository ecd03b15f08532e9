//! The data of `media.encoding.finished.v1`: read from encoders, and written when a request is split.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::message::{OutgoingEvent, Parsed};
use super::{derived_id, times};
use crate::failure::Failure;
use crate::model::{AssetRef, Expected, Location, ReplicationJob, ReplicationRequest, SiteName};

/// The type of event that we consume; the major version is its last word.
pub const FINISHED: &str = "media.encoding.finished.v1";

/// The members that we know; others are ignored. Contract: `events`, "In".
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    site: Option<SiteName>,
    asset: Option<AssetData>,
    finished_at: Option<String>,
    expected: Option<ExpectedData>,
    valid_until: Option<String>,
    replica: Option<SiteName>,
    #[serde(default)]
    correlation: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct AssetData {
    id: Option<String>,
    name: Option<String>,
    location: Option<LocationData>,
    job: Option<JobData>,
}

#[derive(Debug, Deserialize)]
struct LocationData {
    container: String,
    prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
struct JobData {
    id: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct ExpectedData {
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// What the message around the data says.
pub struct Envelope<'a> {
    /// Its id.
    pub id: String,
    /// Its time, used where the data does not say when encoding finished.
    pub time: Option<&'a str>,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

/// Reads the data.
pub fn parse_data(data: &Value, envelope: Envelope<'_>) -> Result<Parsed, Failure> {
    let data = Data::deserialize(data)
        .map_err(|error| Failure::invalid("wrong-data", format!("data is not as expected: {error}")))?;
    let finished_at = match (&data.finished_at, envelope.time) {
        (Some(text), _) => Some(parse_time("finishedAt", text)?),
        (None, Some(text)) => Some(parse_time("time", text)?),
        (None, None) => None,
    };
    let valid_until = data.valid_until.as_deref().map(|text| parse_time("validUntil", text)).transpose()?;
    Ok(Parsed::Request(Box::new(ReplicationRequest {
        id: envelope.id,
        site: data.site,
        account: None,
        asset: parse_asset(data.asset)?,
        encoding_job_state: None,
        finished_at,
        expected: data.expected.map(|expected| Expected { files: expected.files, bytes: expected.bytes }),
        valid_until,
        replica: data.replica,
        correlation: data.correlation.unwrap_or_default(),
        traceparent: envelope.traceparent,
    })))
}

fn parse_time(member: &str, text: &str) -> Result<time::OffsetDateTime, Failure> {
    let problem =
        || Failure::invalid("wrong-time", format!("`{member}` is not an RFC 3339 time such as 2026-11-20T10:15:30Z"));
    times::parse(text).ok_or_else(problem)
}

fn parse_asset(asset: Option<AssetData>) -> Result<AssetRef, Failure> {
    const WANTED: &str = "give exactly one of `asset.id`, `asset.name`, `asset.location`, `asset.job`";
    let asset = asset.ok_or_else(|| Failure::invalid("no-asset", format!("data has no `asset`: {WANTED}")))?;
    let mut given = Vec::new();
    if let Some(id) = asset.id {
        given.push(AssetRef::Id(parse_asset_id(&id)?));
    }
    if let Some(name) = asset.name {
        given.push(AssetRef::Name(name));
    }
    if let Some(LocationData { container, prefix }) = asset.location {
        let location = Location::new(&container, prefix.as_deref()).map_err(|(member, problem)| {
            Failure::invalid("wrong-location", format!("`asset.location.{member}` {problem}"))
        })?;
        given.push(AssetRef::Location(location));
    }
    if let Some(JobData { id }) = asset.job {
        given.push(AssetRef::EncodingJob(parse_id("asset.job.id", "nb:jid:UUID:", &id)?));
    }
    match given.len() {
        0 => Err(Failure::invalid("no-asset", format!("`asset` is empty: {WANTED}"))),
        1 => Ok(given.remove(0)),
        _ => Err(Failure::invalid("two-assets", format!("`asset` names more than one: {WANTED}"))),
    }
}

/// Checks the id of an asset (AMS v2).
///
/// # Errors
/// `Invalid` when it is not `nb:cid:UUID:` and a GUID.
pub fn parse_asset_id(id: &str) -> Result<String, Failure> {
    parse_id("asset.id", "nb:cid:UUID:", id)
}

/// Checks an AMS v2 id (contract ams-v2, section 2.5), so that nothing else ever gets into a URL or a filter.
pub fn parse_id(member: &str, prefix: &str, id: &str) -> Result<String, Failure> {
    let id = id.trim();
    let guid = id.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &id[prefix.len()..]);
    match guid.map(Uuid::try_parse) {
        Some(Ok(guid)) => Ok(format!("{prefix}{guid}")),
        _ => Err(Failure::invalid("wrong-asset-id", format!("`{member}` is not {prefix} and a GUID"))),
    }
}

/// The id of the message for one job of a request: the same split again gives the same ids.
fn job_message_id(job: &ReplicationJob) -> String {
    derived_id(&[&job.request_id, &job.asset_id, job.replica.as_str()]).to_string()
}

/// Writes one job of a split request as a message of its own.
#[must_use]
pub fn encode_job(job: &ReplicationJob) -> OutgoingEvent {
    let id = job_message_id(job);
    let source = format!("/stream-replicator/{}", job.source);
    let mut data = json!({
        "site": job.source.as_str(),
        "asset": asset_data(&job.asset_id),
        "replica": job.replica.as_str(),
        "correlation": job.correlation,
    });
    if let Some(time) = job.finished_at {
        data["finishedAt"] = times::format(time).into();
    }
    if let Some(time) = job.valid_until {
        data["validUntil"] = times::format(time).into();
    }
    if let Some(Expected { files, bytes }) = job.expected {
        data["expected"] = json!(ExpectedData { files, bytes });
    }
    let mut body = json!({
        "specversion": "1.0", "id": id, "source": source, "type": FINISHED, "subject": job.asset_id,
        "datacontenttype": "application/json",
    });
    if let Some(traceparent) = &job.traceparent {
        body["traceparent"] = traceparent.as_str().into();
    }
    body["data"] = data;
    OutgoingEvent {
        id,
        source,
        kind: FINISHED,
        subject: job.asset_id.clone(),
        routing_key: String::new(),
        traceparent: job.traceparent.clone(),
        body: body.to_string().into_bytes(),
    }
}

/// An asset in the form in which messages name it.
pub fn asset_data(id: &str) -> Value {
    Location::parse(id).map_or_else(|| json!({ "id": id }), |location| json!({ "location": location_data(&location) }))
}

/// A location as messages have it.
pub fn location_data(location: &Location) -> Value {
    match location.prefix() {
        Some(prefix) => json!({ "container": location.container(), "prefix": prefix }),
        None => json!({ "container": location.container() }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::events::{Incoming, parse};

    /// One job of a split request, all of it told.
    pub(in crate::events) fn job() -> ReplicationJob {
        ReplicationJob {
            request_id: "m1".into(),
            asset_id: "nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21".into(),
            source: "west".parse().unwrap(),
            replica: "east".parse().unwrap(),
            finished_at: times::parse("2026-11-20T10:15:29.9Z"),
            received_at: time::OffsetDateTime::UNIX_EPOCH,
            expected: Some(Expected { files: Some(3), bytes: None }),
            valid_until: None,
            attempt: 1,
            correlation: BTreeMap::from([("cmsId".to_owned(), "4711".to_owned())]),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        }
    }

    #[test]
    fn a_split_message_asks_for_its_job_and_nothing_else() {
        let job = job();
        let event = encode_job(&job);
        let message =
            Incoming { body: &event.body, content_type: Some(OutgoingEvent::CONTENT_TYPE), ..Incoming::default() };
        let Parsed::Request(request) = parse(&message).unwrap() else { panic!("ignored") };
        assert_eq!(request.id, job_message_id(&job));
        assert_eq!((request.site, request.replica), (Some(job.source), Some(job.replica)));
        assert_eq!((request.asset, request.expected), (AssetRef::Id(job.asset_id), job.expected));
        assert_eq!((request.finished_at, request.correlation), (job.finished_at, job.correlation));
        assert_eq!(request.traceparent, job.traceparent);
    }
}
