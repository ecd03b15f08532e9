//! Writes `media.asset.replication_failed.v1`: a message was given up, so that nobody waits for its replica.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::finished::location_data;
use super::message::OutgoingEvent;
use super::{derived_id, times};
use crate::model::{AssetRef, ReplicationRequest, SiteName};

/// The type of the event; the major version is its last word.
pub const REPLICATION_FAILED: &str = "media.asset.replication_failed.v1";

/// Why a message was given up: what its dead letter says too.
#[derive(Debug, Clone, Copy)]
pub struct GivenUp<'a> {
    /// The id by which operators find the dead letter.
    pub dead_letter_id: &'a str,
    /// `permanent`, `exhausted` or `expired`.
    pub class: &'static str,
    /// The failure's stable code.
    pub code: &'static str,
    /// The step that failed; none where it was not in one.
    pub step: Option<&'static str>,
    /// What happened.
    pub error: &'a str,
    /// What an operator can do about it.
    pub hint: Option<&'a str>,
    /// Tries that were made.
    pub attempts: u32,
    /// How often operators have replayed it before.
    pub replays: u64,
    /// When a worker first saw it.
    pub first_seen: OffsetDateTime,
}

/// One site, as the event names it.
#[derive(Debug, Clone, Copy)]
pub struct FailedSite<'a> {
    /// Its name.
    pub name: &'a SiteName,
    /// The kind of its media service.
    pub kind: &'a str,
    /// Its region, when the settings give one.
    pub region: Option<&'a str>,
}

/// Writes the event for the replica of `request` at `replica`. Its id is derived from the letter and from what failed, so
/// that a repeat (a worker that died before it could acknowledge) is recognised, while a replay that fails again is news.
/// `asset` is what the message named: an encoding job where its outputs are not known. Contract: `events`, "Out".
#[must_use]
pub fn encode_replication_failed(
    request: &ReplicationRequest,
    source: FailedSite<'_>,
    replica: FailedSite<'_>,
    why: &GivenUp<'_>,
    now: OffsetDateTime,
) -> OutgoingEvent {
    let (attempts, replays) = (why.attempts.to_string(), why.replays.to_string());
    let (source_name, replica_name) = (source.name.as_str(), replica.name.as_str());
    let facts =
        [REPLICATION_FAILED, why.dead_letter_id, why.class, why.code, &attempts, &replays, source_name, replica_name];
    let id = derived_id(&facts).to_string();
    let event_source = format!("/stream-replicator/{source_name}/{replica_name}");
    let (asset, subject) = asset(&request.asset);
    let mut event = json!({
        "specversion": "1.0",
        "id": id,
        "source": event_source,
        "type": REPLICATION_FAILED,
        "subject": subject,
        "time": times::format(now),
        "datacontenttype": "application/json",
    });
    if let Some(traceparent) = &request.traceparent {
        event["traceparent"] = traceparent.as_str().into();
    }
    event["data"] = json!({
        "asset": asset,
        "sites": [site(source, "source", 1), site(replica, "replica", 2)],
        "code": why.code,
        "class": why.class,
        "step": why.step,
        "error": why.error,
        "hint": why.hint,
        "attempts": why.attempts,
        "firstSeenAt": times::format(why.first_seen),
        "deadLetterId": why.dead_letter_id,
        "correlation": request.correlation,
    });
    OutgoingEvent {
        id,
        source: event_source,
        kind: REPLICATION_FAILED,
        subject,
        routing_key: format!("media.asset.replication_failed.{source_name}.{replica_name}"),
        traceparent: request.traceparent.clone(),
        body: event.to_string().into_bytes(),
    }
}

/// The asset in the form in which messages name it, and as the event's subject.
fn asset(asset: &AssetRef) -> (Value, String) {
    match asset {
        AssetRef::Id(id) => (json!({ "id": id }), id.clone()),
        AssetRef::Name(name) => (json!({ "name": name }), name.clone()),
        AssetRef::Location(location) => (json!({ "location": location_data(location) }), location.to_string()),
        AssetRef::EncodingJob(id) => (json!({ "job": { "id": id } }), id.clone()),
    }
}

fn site(site: FailedSite<'_>, role: &str, priority: u32) -> Value {
    json!({
        "name": site.name.as_str(), "role": role, "priority": priority, "kind": site.kind, "region": site.region,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Location;

    /// The request for an asset, all else told.
    pub(in crate::events) fn request(asset: AssetRef) -> ReplicationRequest {
        ReplicationRequest {
            id: "m1".into(),
            site: None,
            account: None,
            asset,
            encoding_job_state: None,
            finished_at: None,
            expected: None,
            valid_until: None,
            replica: None,
            correlation: BTreeMap::from([("cmsId".to_owned(), "4711".to_owned())]),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        }
    }

    /// Why it was given up.
    pub(in crate::events) fn why() -> GivenUp<'static> {
        GivenUp {
            dead_letter_id: "m1",
            class: "permanent",
            code: "asset-encrypted",
            step: Some("find_source_asset"),
            error: "asset is storage-encrypted",
            hint: None,
            attempts: 1,
            replays: 0,
            first_seen: times::parse("2026-11-20T10:15:30Z").unwrap(),
        }
    }

    /// The event about it, so many minutes after a worker first saw the message.
    pub(in crate::events) fn encode(
        request: &ReplicationRequest,
        why: &GivenUp<'_>,
        minutes_later: i64,
    ) -> OutgoingEvent {
        let (west, east) = ("west".parse().unwrap(), "east".parse().unwrap());
        let site = |name, region| FailedSite { name, kind: "ams-v2", region };
        let now = why.first_seen + time::Duration::minutes(minutes_later);
        encode_replication_failed(request, site(&west, Some("westeurope")), site(&east, None), why, now)
    }

    #[test]
    fn a_repeat_has_the_same_id_and_another_failure_another() {
        let request = request(AssetRef::Id("nb:cid:UUID:6f1c".into()));
        let first = encode(&request, &why(), 0);
        let later = GivenUp { first_seen: times::parse("2026-11-21T10:15:30Z").unwrap(), ..why() };
        assert_eq!(encode(&request, &later, 5).id, first.id, "the time is not part of it");
        for other in [
            GivenUp { replays: 1, ..why() },
            GivenUp { attempts: 2, ..why() },
            GivenUp { code: "conflict", ..why() },
            GivenUp { class: "expired", ..why() },
            GivenUp { dead_letter_id: "m2", ..why() },
        ] {
            assert_ne!(encode(&request, &other, 0).id, first.id, "{other:?}");
        }
    }

    #[test]
    fn what_a_message_named_is_what_its_failure_names() {
        for (asset, named, subject) in [
            (
                AssetRef::EncodingJob("nb:jid:UUID:1".into()),
                json!({ "job": { "id": "nb:jid:UUID:1" } }),
                "nb:jid:UUID:1",
            ),
            (AssetRef::Name("movie".into()), json!({ "name": "movie" }), "movie"),
            (
                AssetRef::Location(Location::new("con", Some("p/")).unwrap()),
                json!({ "location": { "container": "con", "prefix": "p/" } }),
                "con/p/",
            ),
        ] {
            let event = encode(&request(asset), &why(), 0);
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            assert_eq!((&body["data"]["asset"], event.subject.as_str()), (&named, subject));
        }
    }

    #[test]
    fn the_event_is_of_the_contracts_form() {
        let event = encode(&request(AssetRef::Id("nb:cid:UUID:6f1c".into())), &why(), 1);
        assert_eq!(event.routing_key, "media.asset.replication_failed.west.east");
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
        {
          "specversion": "1.0",
          "id": "98181c5e-a500-587c-981a-ab9f9fec8dbb",
          "source": "/stream-replicator/west/east",
          "type": "media.asset.replication_failed.v1",
          "subject": "nb:cid:UUID:6f1c",
          "time": "2026-11-20T10:16:30.000Z",
          "datacontenttype": "application/json",
          "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          "data": {
            "asset": {
              "id": "nb:cid:UUID:6f1c"
            },
            "sites": [
              {
                "name": "west",
                "role": "source",
                "priority": 1,
                "kind": "ams-v2",
                "region": "westeurope"
              },
              {
                "name": "east",
                "role": "replica",
                "priority": 2,
                "kind": "ams-v2",
                "region": null
              }
            ],
            "code": "asset-encrypted",
            "class": "permanent",
            "step": "find_source_asset",
            "error": "asset is storage-encrypted",
            "hint": null,
            "attempts": 1,
            "firstSeenAt": "2026-11-20T10:15:30.000Z",
            "deadLetterId": "m1",
            "correlation": {
              "cmsId": "4711"
            }
          }
        }
        "#);
    }
}
