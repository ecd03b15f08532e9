//! The AsyncAPI 3 document: where at the broker our messages are found, for whoever sends or takes them.

mod messages;

use serde_json::{Map, Value, json};

use self::messages::key;
use super::schema::EventSchema;
use crate::settings::RabbitmqSettings;

/// Version of AsyncAPI's bindings for AMQP 0-9-1 (asyncapi/bindings, `amqp`).
const BINDING_VERSION: &str = "0.3.0";

/// Writes the document with the names of these settings. It is in one piece: it refers to nothing outside of it. Nothing of
/// the broker's URL is in it.
#[must_use]
pub fn asyncapi(settings: &RabbitmqSettings) -> Value {
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:stream-replicator",
        "info": {
            "title": "stream-replicator",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Copies every finished streaming asset to the other data centre, proves that it plays there, and \
                            announces it. All events are CloudEvents 1.0. A message may come more than once: `source` and \
                            `id` tell.",
            "license": { "name": "MIT", "url": "https://opensource.org/license/mit" },
            "tags": [{ "name": "video" }, { "name": "replication" }],
        },
        "defaultContentType": messages::STRUCTURED,
        "servers": {
            "broker": server("amqp", "5672"),
            "brokerTls": server("amqps", "5671"),
        },
        "channels": {
            "encodingFinished": incoming_channel(settings),
            "assetReplicated": outgoing_channel(settings, EventSchema::AssetReplicated),
            "assetReplicationFailed": outgoing_channel(settings, EventSchema::AssetReplicationFailed),
        },
        "operations": {
            "takeEncodingFinished": incoming_operation(),
            "announceReplicated": outgoing_operation(
                EventSchema::AssetReplicated,
                "Tells that an asset plays from both sites.",
            ),
            "announceFailure": outgoing_operation(
                EventSchema::AssetReplicationFailed,
                "Tells that nobody needs to wait for a replica any longer.",
            ),
        },
        "components": {
            "messages": messages::messages(),
            "schemas": messages::schemas(),
            "securitySchemes": { "user": { "type": "userPassword", "description": "A user of the broker." } },
        },
    })
}

fn server(protocol: &str, port: &str) -> Value {
    json!({
        "host": format!("{{host}}:{port}"),
        "pathname": "/{vhost}",
        "protocol": protocol,
        "protocolVersion": "0-9-1",
        "description": "RabbitMQ, or whatever speaks its AMQP 0-9-1.",
        "variables": {
            "host": { "default": "localhost", "description": "Where the broker is." },
            "vhost": { "default": "%2F", "description": "Its virtual host." },
        },
        "security": [{ "$ref": "#/components/securitySchemes/user" }],
    })
}

/// A topic exchange, by routing keys.
fn exchange(name: &str) -> Value {
    json!({ "amqp": {
        "is": "routingKey",
        "exchange": { "name": name, "type": "topic", "durable": true, "autoDelete": false },
        "bindingVersion": BINDING_VERSION,
    } })
}

fn incoming_channel(settings: &RabbitmqSettings) -> Value {
    let binding_key = &settings.binding_key;
    let mut channel = json!({
        "address": null,
        "title": "Finished encodings",
        "description": format!("The encoders' exchange. Routing keys that `{binding_key}` fits are for the replicator."),
        "messages": {
            "encodingFinished": { "$ref": "#/components/messages/encodingFinished" },
            "encodingFinishedBinary": { "$ref": "#/components/messages/encodingFinishedBinary" },
        },
        "bindings": exchange(&settings.events_exchange),
        "x-binding-key": binding_key,
    });
    if let Some((address, parameters)) = address(binding_key) {
        channel["address"] = address.into();
        if !parameters.is_empty() {
            channel["parameters"] = parameters.into();
        }
    }
    channel
}

/// A binding key as an address, its wildcards as parameters; none for a key that an address cannot hold.
fn address(binding_key: &str) -> Option<(String, Map<String, Value>)> {
    let (mut words, mut parameters) = (Vec::new(), Map::new());
    for (at, word) in binding_key.split('.').enumerate() {
        let meaning = match word {
            "*" => "any one word",
            "#" => "any number of words; where there is none, the dot before it is left out",
            word if word.is_empty() || !word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) => {
                return None;
            }
            word => {
                words.push(word.to_owned());
                continue;
            }
        };
        let name = if word == "*" { format!("word{}", at + 1) } else { format!("words{}", at + 1) };
        words.push(format!("{{{name}}}"));
        parameters.insert(name, json!({ "description": meaning }));
    }
    Some((words.join("."), parameters))
}

fn outgoing_channel(settings: &RabbitmqSettings, schema: EventSchema) -> Value {
    let (kind, key) = (schema.event_type(), key(schema));
    let first_words = kind.trim_end_matches(".v1");
    json!({
        "address": format!("{first_words}.{{source}}.{{replica}}"),
        "title": kind,
        "description": format!("Our exchange. Bind a queue of yours with `{first_words}.#`, or with the sites that you want."),
        "parameters": {
            "source": { "description": "Name of the site where the asset was encoded." },
            "replica": { "description": "Name of the site that it is replicated to." },
        },
        "messages": { key: { "$ref": format!("#/components/messages/{key}") } },
        "bindings": exchange(&settings.outgoing_exchange),
    })
}

fn incoming_operation() -> Value {
    json!({
        "action": "receive",
        "channel": { "$ref": "#/channels/encodingFinished" },
        "summary": "Takes finished encodings.",
        "description": "Also taken, told by their content: the data alone, without an event around it; and notifications of \
                        Azure Media Services v2 about encoding jobs. What cannot be read is parked. A message is \
                        acknowledged when its event is stored at the broker.",
        "messages": [
            { "$ref": "#/channels/encodingFinished/messages/encodingFinished" },
            { "$ref": "#/channels/encodingFinished/messages/encodingFinishedBinary" },
        ],
        "bindings": { "amqp": { "ack": true, "bindingVersion": BINDING_VERSION } },
    })
}

fn outgoing_operation(schema: EventSchema, summary: &str) -> Value {
    let key = key(schema);
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{key}") },
        "summary": summary,
        "messages": [{ "$ref": format!("#/channels/{key}/messages/{key}") }],
        "bindings": { "amqp": {
            "deliveryMode": 2, "mandatory": true, "timestamp": true, "bindingVersion": BINDING_VERSION,
        } },
    })
}

#[cfg(test)]
mod tests;
