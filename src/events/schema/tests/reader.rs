//! The schema of what we take and its reader agree on each message.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{of, validator};
use crate::events::{EventSchema, Incoming, incoming};

/// The data alone, as it is in binary mode and in bare messages.
static DATA: LazyLock<Validator> = LazyLock::new(|| {
    let definitions = EventSchema::EncodingFinished.json()["$defs"].take();
    validator(&json!({ "$ref": "#/$defs/encodingFinishedData", "$defs": definitions }))
});

/// Whether a body fits the schema that it should; `None` for what has none: no JSON object, or another dialect.
pub(in crate::events) fn fits_what_we_take(body: &str) -> Option<bool> {
    let body: Value = serde_json::from_str(body).ok()?;
    let validator = match (body.get("specversion"), body.get("MessageVersion")) {
        (Some(_), _) => of(EventSchema::EncodingFinished),
        (None, Some(_)) => return None,
        (None, None) => &DATA,
    };
    body.is_object().then(|| validator.is_valid(&body))
}

/// The reader and the schema, on data in an event.
fn ensure_agree(data: &Value) {
    let event = json!({ "specversion": "1.0", "id": "e", "type": "media.encoding.finished.v1", "data": data });
    ensure_agree_on(&event);
}

fn ensure_agree_on(event: &Value) {
    let body = event.to_string();
    let taken = incoming::parse(&Incoming { body: body.as_bytes(), ..Incoming::default() });
    assert_eq!(fits_what_we_take(&body), Some(taken.is_ok()), "{taken:?}: {event:#}");
}

const GUID: &str = "0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";

#[test]
fn reader_and_schema_agree_on_assets() {
    let simple = GUID.replace('-', "");
    for id in [
        format!("nb:cid:UUID:{GUID}"),
        format!(" NB:Cid:uuid:{}\n", GUID.to_uppercase()),
        format!("nb:cid:UUID:{simple}"),
        format!("nb:cid:UUID:{{{GUID}}}"),
        format!("nb:cid:UUID:urn:uuid:{GUID}"),
        format!("nb:cid:UUID:{{{simple}}}"),
        format!("nb:cid:UUID:{GUID}0"),
        format!("nb:jid:UUID:{GUID}"),
        GUID.to_owned(),
        "nb:cid:UUID:".to_owned(),
        "../../x".to_owned(),
        String::new(),
    ] {
        ensure_agree(&json!({ "asset": { "id": id } }));
        ensure_agree(&json!({ "asset": { "job": { "id": id.replace("cid", "jid") } } }));
    }
    let id = format!("nb:cid:UUID:{GUID}");
    for asset in [
        json!({}),
        json!(null),
        json!("movie"),
        json!({ "name": "movie", "unknown": 1 }),
        json!({ "name": "" }),
        json!({ "name": 7 }),
        json!({ "id": null }),
        json!({ "id": null, "name": "movie", "location": null, "job": null }),
        json!({ "id": id, "name": "movie" }),
        json!({ "id": id, "location": { "container": "films" } }),
        json!({ "id": id, "job": {} }),
        json!({ "job": { "id": null } }),
        json!({ "location": {} }),
        json!({ "location": "films" }),
        json!({ "location": { "prefix": "a" } }),
    ] {
        ensure_agree(&json!({ "asset": asset }));
    }
}

#[test]
fn reader_and_schema_agree_on_places() {
    for container in
        ["films", "f-1", "ab", "Films", "a--b", "-ab", "ab-", "$web", "a.b", &"a".repeat(63), &"a".repeat(64)]
    {
        ensure_agree(&json!({ "asset": { "location": { "container": container } } }));
    }
    for prefix in [
        "",
        "/",
        "//",
        "a",
        "/a/b/",
        "//a",
        "a//b",
        ".",
        "..",
        "a/..",
        "./a",
        "a/./b",
        "...",
        ".a",
        "..a/b",
        "a\\b",
        "a\nb",
        "a\u{7f}",
        "a\u{85}",
        "fílm 1",
        &"é".repeat(800),
        &format!("//{}//", "a".repeat(800)),
        &"a".repeat(801),
        &format!("/{}/b", "a".repeat(799)),
    ] {
        ensure_agree(&json!({ "asset": { "location": { "container": "films", "prefix": prefix } } }));
    }
}

#[test]
fn reader_and_schema_agree_on_all_else() {
    for (member, value) in [
        ("site", json!("west_2")),
        ("site", json!("")),
        ("site", json!("2west")),
        ("site", json!("West")),
        ("site", json!(null)),
        ("replica", json!(["east"])),
        ("replica", json!("we-st")),
        ("finishedAt", json!("2026-11-20T10:15:29.9+01:00")),
        ("finishedAt", json!("2026-11-20")),
        ("finishedAt", json!("2026-11-20T10:15:29")),
        ("finishedAt", json!("2026-02-30T10:15:29Z")),
        ("finishedAt", json!(1_700_000_000)),
        ("finishedAt", json!(null)),
        ("validUntil", json!("tomorrow")),
        ("validUntil", json!("")),
        ("expected", json!({})),
        ("expected", json!(null)),
        ("expected", json!(12)),
        ("expected", json!({ "files": null, "bytes": 0, "more": [] })),
        ("expected", json!({ "files": -1 })),
        ("expected", json!({ "bytes": 1.5 })),
        ("expected", json!({ "bytes": "12" })),
        ("correlation", json!(null)),
        ("correlation", json!({ "a": "b" })),
        ("correlation", json!({ "a": 1 })),
        ("correlation", json!("a")),
        ("unknown", json!({ "a": [1] })),
    ] {
        ensure_agree(&json!({ "asset": { "name": "movie" }, member: value }));
    }
}

#[test]
fn reader_and_schema_agree_on_what_is_around_the_data() {
    let with = |changes: Value, finished_at: Value| {
        let mut event = json!({
            "specversion": "1.0", "id": "e", "type": "media.encoding.finished.v1",
            "data": { "asset": { "name": "movie" }, "finishedAt": finished_at },
        });
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        ensure_agree_on(&event);
    };
    for changes in [
        json!({}),
        json!({ "specversion": "0.3" }),
        json!({ "specversion": 1.0 }),
        json!({ "id": "" }),
        json!({ "id": 7 }),
        json!({ "type": "media.encoding.finished.v2" }),
        json!({ "type": null }),
        json!({ "data": null }),
        json!({ "data": 7 }),
        json!({ "data": "e30=" }),
        json!({ "source": 7, "subject": [], "datacontenttype": "text/plain", "extension": 1 }),
        json!({ "traceparent": "00-1-2-3" }),
        json!({ "time": "2026-11-20T10:15:29Z" }),
        json!({ "time": "yesterday" }),
        json!({ "time": 7 }),
    ] {
        for finished_at in [json!(null), json!("2026-11-20T10:15:29Z")] {
            with(changes.clone(), finished_at);
        }
    }
    for missing in ["specversion", "id", "type", "data"] {
        let mut event = EventSchema::EncodingFinished.json()["examples"][0].clone();
        ensure_agree_on(&event);
        event.as_object_mut().unwrap().remove(missing);
        // Without `specversion` it is bare data, which this is not.
        ensure_agree_on(&event);
    }
}
