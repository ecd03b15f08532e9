//! Decides by content which dialect a message speaks, and reads it.

use serde_json::Value;

use super::finished::{self, Envelope};
use super::message::{Incoming, Parsed, fallback_id};
use super::{ams_v2_notification, cloud_event};
use crate::failure::Failure;

/// Reads a message. Contract: `events`, "In"; AMS v2 notifications: `ams-v2`, section 7.
///
/// # Errors
/// `Invalid` when the message is unusable; the text says what is wrong with it and what would be right.
pub fn parse(message: &Incoming<'_>) -> Result<Parsed, Failure> {
    let media_type = message.content_type.unwrap_or_default().trim().to_ascii_lowercase();
    if media_type.starts_with("application/cloudevents-batch") {
        return Err(Failure::invalid(
            "batch-unsupported",
            "is a batch of CloudEvents: send one message for each event",
        ));
    }
    let body: Value = serde_json::from_slice(message.body)
        .map_err(|error| Failure::invalid("not-json", format!("body is not JSON: {error}")))?;
    let Value::Object(members) = &body else {
        return Err(Failure::invalid("not-an-object", "body is JSON but not an object: send a CloudEvent or its data"));
    };
    if media_type.starts_with("application/cloudevents") || members.contains_key("specversion") {
        return cloud_event::parse_structured(members, message);
    }
    if let Some(attributes) = cloud_event::find_binary_attributes(&message.headers) {
        return cloud_event::parse_binary(&attributes, &body, message);
    }
    if ams_v2_notification::is_one(members) {
        return ams_v2_notification::parse(members, message);
    }
    let envelope = Envelope { id: fallback_id(message), time: None, traceparent: message.traceparent(None) };
    finished::parse_data(&body, envelope)
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;
    use crate::model::{AssetRef, EncodingJobState, ReplicationRequest};

    const ASSET: &str = "nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";

    /// What comes of a body, which must not be other than its schema says.
    fn parsed(body: &str) -> Result<Parsed, Failure> {
        let parsed = parse(&Incoming { body: body.as_bytes(), message_id: Some("m1"), ..Incoming::default() });
        if let Some(fits) = schema::tests::fits_what_we_take(body) {
            assert_eq!(fits, parsed.is_ok(), "{body}: {parsed:?}");
        }
        parsed
    }

    fn request(result: Result<Parsed, Failure>) -> ReplicationRequest {
        match result.unwrap() {
            Parsed::Request(request) => *request,
            Parsed::Ignored { reason, .. } => panic!("ignored: {reason}"),
        }
    }

    #[test]
    fn one_event_in_structured_binary_and_bare_mode_asks_for_the_same() {
        let data =
            format!(r#"{{"site":"west","asset":{{"id":"{ASSET}"}},"correlation":{{"cmsId":"4711"}},"unknown":1}}"#);
        let structured = format!(
            r#"{{"specversion":"1.0","id":"e1","source":"/x","type":"media.encoding.finished.v1","data":{data}}}"#
        );
        let one = request(parsed(&structured));
        assert_eq!((one.id.as_str(), &one.asset), ("e1", &AssetRef::Id(ASSET.into())));
        for prefix in ["ce-", "cloudEvents_", "cloudEvents:", "CE-"] {
            let names: Vec<String> =
                ["specversion", "id", "source", "type"].map(|name| format!("{prefix}{name}")).into();
            let values = ["1.0", "e1", "/x", "media.encoding.finished.v1"];
            let headers = names.iter().map(String::as_str).zip(values).collect();
            let binary = parse(&Incoming { body: data.as_bytes(), headers, ..Incoming::default() });
            assert_eq!(request(binary), one, "{prefix}");
        }
        assert_eq!(request(parsed(&data)), ReplicationRequest { id: "m1".into(), ..one });
    }

    #[test]
    fn a_bare_message_without_id_is_known_by_its_body() {
        let body = format!(r#"{{"asset":{{"id":"{ASSET}"}}}}"#);
        let parse = || request(parse(&Incoming { body: body.as_bytes(), ..Incoming::default() })).id;
        assert!(parse().starts_with("sha256-") && parse() == parse());
    }

    #[test]
    fn a_job_notification_is_read_from_queue_and_webhook_form() {
        for event_type in [r#""JobStateChange""#, "1"] {
            let body = format!(
                r#"{{"MessageVersion":"1.1","EventType":{event_type},"ETag":"e","TimeStamp":"2026-11-20T10:15:30.1234567Z","Properties":{{
                "JobId":"nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21","OldState":"Processing","NewState":"Finished","AccountName":"west"}}}}"#
            );
            let request = request(parsed(&body));
            assert_eq!(request.asset, AssetRef::EncodingJob("nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21".into()));
            assert_eq!(request.encoding_job_state, Some(EncodingJobState::Finished));
            assert_eq!(request.account.as_deref(), Some("west"));
            assert!(request.finished_at.is_some());
        }
    }

    #[test]
    fn progress_registrations_and_running_jobs_are_ignored() {
        for (event_type, state) in
            [("TaskProgress", ""), ("NotificationEndPointRegistration", "Registered"), ("JobStateChange", "Processing")]
        {
            let body = format!(
                r#"{{"MessageVersion":"1.1","EventType":"{event_type}","ETag":"e","TimeStamp":"2026-11-20T10:15:30",
                "Properties":{{"JobId":"nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21","NewState":"{state}"}}}}"#
            );
            assert!(matches!(parsed(&body), Ok(Parsed::Ignored { .. })), "{event_type}");
        }
    }

    #[test]
    fn unusable_messages_are_named_for_what_they_are() {
        let finished = |data: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"e","source":"/x","type":"media.encoding.finished.v1","data":{data}}}"#
            )
        };
        let cases = [
            ("\u{feff}{".to_owned(), "not-json"),
            ("[]".to_owned(), "not-an-object"),
            ("{}".to_owned(), "no-asset"),
            (finished(r#"{"asset":{}}"#), "no-asset"),
            (finished(&format!(r#"{{"asset":{{"id":"{ASSET}","name":"x"}}}}"#)), "two-assets"),
            (finished(r#"{"asset":{"id":"x') or ('1' eq '1"}}"#), "wrong-asset-id"),
            (finished(r#"{"asset":{"id":"../../x"}}"#), "wrong-asset-id"),
            (
                finished(r#"{"asset":{"job":{"id":"nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21"}}}"#),
                "wrong-asset-id",
            ),
            (finished(&format!(r#"{{"asset":{{"id":"{ASSET}"}},"site":"WEST"}}"#)), "wrong-data"),
            (finished(&format!(r#"{{"asset":{{"id":"{ASSET}"}},"finishedAt":"yesterday"}}"#)), "wrong-time"),
            (finished("7"), "wrong-data"),
            (
                r#"{"specversion":"1.0","id":"e","source":"/x","type":"media.encoding.finished.v2","data":{}}"#.into(),
                "unknown-version",
            ),
            (r#"{"specversion":"1.0","id":"e","source":"/x","type":"other","data":{}}"#.into(), "unknown-type"),
            (
                r#"{"specversion":"0.3","id":"e","source":"/x","type":"media.encoding.finished.v1"}"#.into(),
                "unknown-specversion",
            ),
            (r#"{"specversion":"1.0","type":"media.encoding.finished.v1","data":{}}"#.into(), "no-event-id"),
        ];
        for (body, code) in cases {
            let failure = parsed(&body).unwrap_err();
            assert_eq!((failure.kind.name(), failure.code), ("invalid", code), "{body}");
        }
    }
}
