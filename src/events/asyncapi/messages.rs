//! The messages of the AsyncAPI document: headers, bodies, examples.

use serde_json::{Map, Value, json};

use super::super::message::OutgoingEvent;
use super::super::schema::EventSchema;
use super::BINDING_VERSION;

/// The media type of an event in structured mode.
pub(super) const STRUCTURED: &str = "application/cloudevents+json";

/// Every message.
pub(super) fn messages() -> Value {
    json!({
        "encodingFinished": structured(EventSchema::EncodingFinished, &taken_headers()),
        "encodingFinishedBinary": binary(),
        "assetReplicated": sent(EventSchema::AssetReplicated),
        "assetReplicationFailed": sent(EventSchema::AssetReplicationFailed),
    })
}

/// The name of a message in the document.
pub(super) fn key(schema: EventSchema) -> &'static str {
    match schema {
        EventSchema::EncodingFinished => "encodingFinished",
        EventSchema::AssetReplicated => "assetReplicated",
        EventSchema::AssetReplicationFailed => "assetReplicationFailed",
    }
}

/// A message that we send: AMQP's `message-id` is the event's `id`, its `type` the event's.
fn sent(schema: EventSchema) -> Value {
    let mut message = structured(schema, &sent_headers(schema));
    message["contentType"] = OutgoingEvent::CONTENT_TYPE.into();
    message["correlationId"] = json!({
        "description": "The event's `subject`, in AMQP's `correlation-id` too where it has 255 bytes at most.",
        "location": "$message.payload#/subject",
    });
    message["bindings"] = json!({ "amqp": { "messageType": schema.event_type(), "bindingVersion": BINDING_VERSION } });
    for example in message["examples"].as_array_mut().into_iter().flatten() {
        let of = |attribute: &str| example["payload"][attribute].clone();
        example["headers"] = json!({
            "ce-specversion": of("specversion"), "ce-id": of("id"), "ce-source": of("source"), "ce-type": of("type"),
        });
    }
    message
}

fn structured(schema: EventSchema, headers: &Value) -> Value {
    let mut json = schema.json();
    let payloads = json["examples"].take();
    let examples = payloads.as_array().into_iter().flatten();
    let examples = examples.map(|payload| json!({ "payload": payload })).collect::<Vec<_>>();
    json!({
        "name": schema.event_type(),
        "title": schema.event_type(),
        "summary": json["description"],
        "contentType": STRUCTURED,
        "headers": headers,
        "payload": { "$ref": format!("#/components/schemas/{}", key(schema)) },
        "examples": examples,
    })
}

/// The same in binary mode: attributes in headers, the data as the body.
fn binary() -> Value {
    let schema = EventSchema::EncodingFinished;
    let example = schema.json()["examples"][0].clone();
    json!({
        "name": format!("{} (binary mode)", schema.event_type()),
        "title": format!("{} in binary mode", schema.event_type()),
        "summary": "The same, its attributes in headers. The prefixes `cloudEvents_` and `cloudEvents:` are read as well.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce-specversion", "ce-type"],
            "properties": {
                "ce-specversion": { "const": "1.0" },
                "ce-id": { "type": "string", "description": "Without it AMQP's `message-id` is the message's id." },
                "ce-source": { "type": "string" },
                "ce-type": { "const": schema.event_type() },
                "ce-time": { "type": "string", "description": "When encoding finished, unless `finishedAt` says so." },
                "traceparent": { "type": "string", "description": "W3C Trace Context; also as `ce-traceparent`." },
            },
        },
        "payload": { "$ref": "#/components/schemas/encodingFinishedData" },
        "examples": [{
            "headers": {
                "ce-specversion": example["specversion"], "ce-id": example["id"], "ce-source": example["source"],
                "ce-type": example["type"],
            },
            "payload": example["data"],
        }],
    })
}

fn taken_headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            "traceparent": { "type": "string", "description": "W3C Trace Context, where the event has no such attribute." },
            "tracestate": { "type": "string", "description": "Passed on unchanged." },
        },
    })
}

fn sent_headers(schema: EventSchema) -> Value {
    json!({
        "type": "object",
        "description": "The event's required attributes, to choose by without reading the body.",
        "required": ["ce-specversion", "ce-id", "ce-source", "ce-type"],
        "properties": {
            "ce-specversion": { "const": "1.0" },
            "ce-id": { "type": "string", "format": "uuid" },
            "ce-source": { "type": "string", "pattern": "^/stream-replicator/" },
            "ce-type": { "const": schema.event_type() },
            "traceparent": { "type": "string", "description": "W3C Trace Context, as in the event." },
            "tracestate": { "type": "string", "description": "As it was in the message that asked for it." },
            "x-replication-replays": { "type": "integer", "description": "How often operators have replayed that message." },
            "x-replication-replay-run": { "type": "string", "description": "Which run of theirs did so last." },
        },
    })
}

/// Every schema, with the definitions of all of them side by side. What has one name has one meaning in all.
pub(super) fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    for schema in EventSchema::ALL {
        let Value::Object(mut members) = schema.json() else { continue };
        let definitions = members.remove("$defs");
        for left_out in ["$schema", "$id", "examples"] {
            members.remove(left_out);
        }
        all.insert(key(schema).to_owned(), Value::Object(members));
        if let Some(Value::Object(definitions)) = definitions {
            all.extend(definitions);
        }
    }
    all.values_mut().for_each(refer_to_components);
    all
}

/// Makes references to definitions of a schema references to the document's components.
fn refer_to_components(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "$ref" => *text = text.replace("#/$defs/", "#/components/schemas/"),
                    member => refer_to_components(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer_to_components),
        _ => {}
    }
}
