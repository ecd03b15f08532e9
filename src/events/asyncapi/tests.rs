//! The document holds together, its examples are what they say, and its names are the settings'.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::events::schema::tests::validator;
use crate::events::{Incoming, Parsed, parse};

fn defaults() -> RabbitmqSettings {
    crate::settings::load(None, HashMap::new()).unwrap().rabbitmq
}

/// Every reference, with its place.
fn references(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => found.push((place.to_owned(), target.clone())),
                    member => references(member, &format!("{place}/{name}"), found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, place, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_to_something_in_the_document() {
    let document = asyncapi(&defaults());
    let mut found = Vec::new();
    references(&document, "", &mut found);
    assert!(found.len() > 30, "{found:?}");
    for (place, target) in found {
        let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{place} leads out of it: {target}"));
        assert!(document.pointer(pointer).is_some(), "{place}: {target}");
    }
    assert!(!document.to_string().contains("$defs"));
}

#[test]
fn every_example_is_what_it_says() {
    let document = asyncapi(&defaults());
    let mut examples = 0;
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        for part in ["payload", "headers"] {
            let mut schema = message[part].clone();
            schema["components"] = document["components"].clone();
            let validator = validator(&schema);
            for example in message["examples"].as_array().unwrap() {
                let example = example.get(part).cloned().unwrap_or_else(|| json!({}));
                validator.validate(&example).unwrap_or_else(|error| panic!("{name}: {part}: {error}"));
                examples += 1;
            }
            assert!(!validator.is_valid(&json!([])), "{name}: {part}");
        }
    }
    assert_eq!(examples, 14);
}

#[test]
fn the_example_in_binary_mode_is_read() {
    let document = asyncapi(&defaults());
    let example = &document["components"]["messages"]["encodingFinishedBinary"]["examples"][0];
    let headers = example["headers"].as_object().unwrap();
    let headers: BTreeMap<_, _> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let body = example["payload"].to_string();
    let read = parse(&Incoming { body: body.as_bytes(), headers, ..Incoming::default() });
    let Ok(Parsed::Request(request)) = read else { panic!("{read:?}") };
    assert_eq!(request.id, example["headers"]["ce-id"]);
}

#[test]
fn names_are_those_of_the_settings() {
    let settings = RabbitmqSettings {
        events_exchange: "in".into(),
        outgoing_exchange: "out".into(),
        binding_key: "finished.*.#".into(),
        ..defaults()
    };
    let document = asyncapi(&settings);
    let channel = |name: &str| {
        let channel = &document["channels"][name];
        (channel["address"].as_str(), channel["bindings"]["amqp"]["exchange"]["name"].as_str())
    };
    assert_eq!(channel("encodingFinished"), (Some("finished.{word2}.{words3}"), Some("in")));
    assert_eq!(channel("assetReplicated"), (Some("media.asset.replicated.{source}.{replica}"), Some("out")));
    assert_eq!(
        channel("assetReplicationFailed"),
        (Some("media.asset.replication_failed.{source}.{replica}"), Some("out"))
    );
    let parameters = document["channels"]["encodingFinished"]["parameters"].as_object().unwrap();
    assert_eq!(parameters.keys().collect::<Vec<_>>(), ["word2", "words3"]);
}

#[test]
fn a_key_that_is_no_address_is_told_all_the_same() {
    for binding_key in ["", "a..b", "a?b.c", "{a}"] {
        let document = asyncapi(&RabbitmqSettings { binding_key: binding_key.into(), ..defaults() });
        let channel = &document["channels"]["encodingFinished"];
        assert_eq!((&channel["address"], &channel["x-binding-key"]), (&Value::Null, &binding_key.into()));
    }
    let plain = asyncapi(&RabbitmqSettings { binding_key: "a.b-c_1".into(), ..defaults() });
    assert_eq!(plain["channels"]["encodingFinished"]["address"], "a.b-c_1");
    assert!(plain["channels"]["encodingFinished"].get("parameters").is_none());
}
