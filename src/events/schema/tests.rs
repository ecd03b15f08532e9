//! The schemas say what is written, and nothing else.

mod reader;

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::json;

pub(in crate::events) use self::reader::fits_what_we_take;
use super::*;
use crate::events::{encode_job, encode_replicated, finished, replicated, replication_failed};
use crate::model::{AssetRef, Location, Protection, Replicated};

/// Reads a schema as strictly as can be; it never fetches anything.
pub(in crate::events) fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

/// The schema, read once.
fn of(schema: EventSchema) -> &'static Validator {
    static ALL: LazyLock<[Validator; 3]> = LazyLock::new(|| EventSchema::ALL.map(|schema| validator(&schema.json())));
    &ALL[schema as usize]
}

#[test]
fn the_schemas_are_schemas_and_their_examples_fit() {
    for schema in EventSchema::ALL {
        let (name, json) = (schema.name(), schema.json());
        jsonschema::draft202012::meta::validate(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(json["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(json["$id"], format!("urn:stream-replicator:schema:{name}:1"));
        assert_eq!(
            (&json["title"], &json["properties"]["type"]["const"]),
            (&schema.event_type().into(), &json["title"])
        );
        let examples = json["examples"].as_array().unwrap();
        assert!(!examples.is_empty());
        for example in examples {
            of(schema).validate(example).unwrap_or_else(|error| panic!("{name}: {error} in {example:#}"));
        }
    }
}

#[test]
fn definitions_of_one_name_are_one() {
    let mut known = serde_json::Map::new();
    for schema in EventSchema::ALL {
        for (name, definition) in schema.json()["$defs"].as_object().unwrap() {
            assert_eq!(known.entry(name).or_insert_with(|| definition.clone()), definition, "{name}");
        }
    }
}

/// Goes through all that describes objects, and not through what only tells cases apart.
fn ensure_closed(schema: &Value, place: &str) {
    let optional = ["/traceparent", "/replicatedData/asset/location", "/location/prefix"];
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        assert_eq!(schema["additionalProperties"], false, "{place}");
        let required: Vec<_> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for (name, property) in properties {
            let place = format!("{place}/{name}");
            let is_optional = optional.iter().any(|ending| place.ends_with(ending));
            assert_eq!(required.contains(&name.as_str()), !is_optional, "{place}");
            ensure_closed(property, &place);
        }
    }
    if let Some(items) = schema.get("items") {
        ensure_closed(items, place);
    }
    for inner in schema["oneOf"].as_array().into_iter().flatten() {
        ensure_closed(inner, place);
    }
    for (name, inner) in schema["$defs"].as_object().into_iter().flatten() {
        ensure_closed(inner, &format!("/{name}"));
    }
}

#[test]
fn what_we_send_has_all_its_members_and_no_others() {
    ensure_closed(&EventSchema::AssetReplicated.json(), "");
    ensure_closed(&EventSchema::AssetReplicationFailed.json(), "");
}

/// Events of every form.
fn sent() -> Vec<(EventSchema, Value)> {
    let now = crate::events::parse_time("2026-11-20T10:15:36.3Z").unwrap();
    let replicated = || replicated::tests::replicated();
    let place = Location::new("films", Some("2026/movie")).unwrap();
    let mut packaged = Replicated {
        asset_id: place.to_string(),
        locator_id: None,
        location: Some(place.clone()),
        valid_from: None,
        valid_until: None,
        protection: Protection { key_ids: ["k".to_owned()].into(), license_hosts: ["l.example".to_owned()].into() },
        traceparent: None,
        ..replicated()
    };
    packaged.timing.finished_at = None;
    packaged.source.region = None;
    packaged.correlation.clear();
    let mut manifests_only = Replicated { valid_from: None, ..replicated() };
    manifests_only.verification.checked = 0;
    manifests_only.content.generation = Some(now);
    let mut whole_container = packaged.clone();
    whole_container.location = Location::parse("films");
    let mut all = [replicated(), packaged, manifests_only, whole_container]
        .iter()
        .map(|replicated| (EventSchema::AssetReplicated, encode_replicated(replicated, "/probe", now).body))
        .collect::<Vec<_>>();

    let job = "nb:jid:UUID:2f8a6f0e-4d1b-4c8a-b1a7-9b6e2c3d4e5f".to_owned();
    let assets = [AssetRef::Id("nb:cid:UUID:6f1c".into()), AssetRef::Name("movie".into()), AssetRef::Location(place)];
    for asset in assets.into_iter().chain([AssetRef::EncodingJob(job)]) {
        let mut request = replication_failed::tests::request(asset);
        for why in [
            replication_failed::tests::why(),
            replication_failed::GivenUp {
                class: "expired",
                step: None,
                hint: Some("look"),
                ..replication_failed::tests::why()
            },
        ] {
            let event = replication_failed::tests::encode(&request, &why, 1);
            all.push((EventSchema::AssetReplicationFailed, event.body));
            request.traceparent = None;
        }
    }
    for asset_id in [finished::tests::job().asset_id, "films/2026/movie/".to_owned()] {
        let job = crate::model::ReplicationJob { asset_id, ..finished::tests::job() };
        all.push((EventSchema::EncodingFinished, encode_job(&job).body));
    }
    all.into_iter().map(|(schema, body)| (schema, serde_json::from_slice(&body).unwrap())).collect()
}

#[test]
fn what_is_written_fits() {
    for (schema, event) in sent() {
        of(schema).validate(&event).unwrap_or_else(|error| {
            panic!("{}: {error} at {} in {event:#}", schema.name(), error.instance_path());
        });
    }
}

/// The places of all members of objects and items of lists.
fn places(value: &Value, place: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| places(member, format!("{place}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| places(item, format!("{place}/{at}"), found));
        }
        _ => {}
    }
    found.push(place);
}

#[test]
fn whatever_is_changed_in_what_we_send_is_noticed() {
    for (schema, event) in sent().into_iter().filter(|(schema, _)| *schema != EventSchema::EncodingFinished) {
        let validator = of(schema);
        assert!(validator.is_valid(&event));
        let mut all = Vec::new();
        places(&event, String::new(), &mut all);
        for place in all.iter().filter(|place| !place.is_empty()) {
            let (parent, name) = place.rsplit_once('/').unwrap();
            let is_free = place.contains("/correlation/");
            // Members that may be absent say something of their own, too: without its location an asset has a locator.
            if !is_free && !place.ends_with("/traceparent") && !place.ends_with("/prefix") {
                let mut less = event.clone();
                if let Some(members) = less.pointer_mut(parent).unwrap().as_object_mut() {
                    members.remove(name);
                    assert!(!validator.is_valid(&less), "without {place} it still fits");
                }
            }
            let mut other = event.clone();
            let value = other.pointer_mut(place).unwrap();
            *value = if value.is_object() { "odd".into() } else { json!({ "odd": {} }) };
            assert!(!validator.is_valid(&other), "something else at {place} fits");
        }
        for place in all.iter().filter(|place| !place.ends_with("/correlation")) {
            let mut more = event.clone();
            if let Some(members) = more.pointer_mut(place).unwrap().as_object_mut() {
                members.insert("odd".to_owned(), "1".into());
                assert!(!validator.is_valid(&more), "more at {place} fits");
            }
        }
    }
}

#[test]
fn what_contradicts_itself_does_not_fit() {
    let (schema, event) = sent().remove(0);
    for (place, value) in [
        ("/time", json!("2026-11-20T10:15:36Z")),
        ("/time", json!("2026-13-20T10:15:36.300Z")),
        ("/id", json!("m1")),
        ("/source", json!("/elsewhere")),
        ("/data/locatorId", Value::Null),
        ("/data/locatorId", json!("movie")),
        ("/data/validity/until", Value::Null),
        ("/data/sites/1/role", json!("source")),
        ("/data/sites/0/priority", json!(2)),
        ("/data/sites/0/port", json!(0)),
        ("/data/sites/0/scheme", json!("ftp")),
        ("/data/urls", json!([])),
        ("/data/urls/0/path", json!("movie.ism")),
        ("/data/urls/0/source", json!("movie.ism")),
        ("/data/protection/kind", json!("encrypted")),
        ("/data/protection/keyIds", json!(["k"])),
        ("/data/content/digest", json!("AB")),
        ("/data/content/files", json!(-1)),
        ("/data/verification/level", json!("manifest")),
        ("/data/verification/checked", json!(0)),
        ("/data/copy/seconds", json!(-0.5)),
        ("/data/attempts", json!(0)),
        ("/data/correlation/cmsId", json!(4711)),
    ] {
        let mut other = event.clone();
        *other.pointer_mut(place).unwrap() = value.clone();
        assert!(!of(schema).is_valid(&other), "{value} at {place} fits");
    }
}
