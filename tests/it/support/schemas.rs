//! Every event that a story receives is held against its schema, and what is around it against the AsyncAPI document.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};
use stream_replicator::events::{EventSchema, asyncapi};
use testbed::amqp::{Amqp, Received, Subscription};

use super::rabbitmq::settings;

/// What stories themselves publish to find an end.
const MARKS: [&str; 2] = ["the.tests.mark", "marker"];
/// What a quorum queue of the story's own adds.
const BROKERS: [&str; 2] = ["x-acquired-count", "x-delivery-count"];
/// The longest that AMQP 0-9-1 has room for, in bytes.
const LONGEST_PROPERTY: usize = 255;

/// The form of one type of event.
struct Form {
    body: Validator,
    headers: Validator,
    header_names: Vec<String>,
}

static FORMS: LazyLock<BTreeMap<&str, Form>> = LazyLock::new(|| {
    let document = asyncapi(&settings("amqp://localhost"));
    let messages = document["components"]["messages"].as_object().into_iter().flatten();
    let headers: BTreeMap<_, _> =
        messages.map(|(_, message)| (message["name"].as_str(), &message["headers"])).collect();
    let form = |schema: EventSchema| {
        let headers = headers.get(&Some(schema.event_type()))?;
        let header_names = headers["properties"].as_object()?.keys().cloned().collect();
        let form = Form { body: validator(&schema.json()).ok()?, headers: validator(headers).ok()?, header_names };
        Some((schema.event_type(), form))
    };
    [EventSchema::AssetReplicated, EventSchema::AssetReplicationFailed].into_iter().filter_map(form).collect()
});

/// Reads a schema as strictly as can be.
pub fn validator(schema: &Value) -> Result<Validator> {
    jsonschema::options().should_validate_formats(true).build(schema).map_err(|error| anyhow!("no schema: {error}"))
}

/// Listens to our events, and lets none pass that is not as its schema says.
pub async fn our_events(amqp: &Amqp) -> Result<Subscription> {
    Ok(amqp.subscribe("media.replication", "#").await?.checked_by(ensure_described))
}

/// Checks an event alone.
pub fn ensure_event(event: &Value) -> Result<()> {
    fits(&form_of(event)?.body, event)
}

/// Checks an event as it came: body, properties, headers, routing key.
pub fn ensure_described(message: &Received) -> Result<()> {
    if MARKS.contains(&message.routing_key.as_str()) {
        return Ok(());
    }
    let event = message.json().with_context(|| format!("not described: {message:?}"))?;
    ensure_event(&event)?;
    let text = |member: &str| event[member].as_str().unwrap_or_default();
    ensure!(message.content_type.as_deref() == Some("application/cloudevents+json; charset=utf-8"), "{message:?}");
    ensure!(
        message.message_id.as_deref() == Some(text("id")) && message.kind.as_deref() == Some(text("type")),
        "{message:?}"
    );
    let subject = Some(text("subject")).filter(|subject| subject.len() <= LONGEST_PROPERTY);
    ensure!(message.correlation_id.as_deref() == subject, "{message:?}");
    let sites = text("source").trim_start_matches("/stream-replicator/").replace('/', ".");
    let key = format!("{}.{sites}", text("type").trim_end_matches(".v1"));
    ensure!(message.routing_key == key, "routing key {} instead of {key}", message.routing_key);

    let form = form_of(&event)?;
    let is_known = |name: &String| form.header_names.contains(name) || BROKERS.contains(&name.as_str());
    let unknown: Vec<_> = message.headers.keys().filter(|name| !is_known(name)).collect();
    ensure!(unknown.is_empty(), "headers that are not described: {unknown:?}");
    let value = |(name, text): (&String, &String)| match name.as_str() {
        // Numbers, too, are received as text.
        "x-replication-replays" => (name.clone(), text.parse::<i64>().map_or_else(|_| json!(text), Value::from)),
        _ => (name.clone(), json!(text)),
    };
    fits(&form.headers, &Value::Object(message.headers.iter().map(value).collect()))
}

fn form_of(event: &Value) -> Result<&'static Form> {
    let kind = event["type"].as_str().unwrap_or_default();
    FORMS.get(kind).with_context(|| format!("an event without a schema: {event:#}"))
}

fn fits(validator: &Validator, value: &Value) -> Result<()> {
    let wrong: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    ensure!(wrong.is_empty(), "not as its schema says: {}\n{value:#}", wrong.join("\n"));
    Ok(())
}

fn message(event: &Value) -> Received {
    let text = |member: &str| event[member].as_str().map(str::to_owned);
    let header = |name: &str| (format!("ce-{name}"), text(name).unwrap_or_default());
    Received {
        body: event.to_string().into(),
        content_type: Some("application/cloudevents+json; charset=utf-8".to_owned()),
        message_id: text("id"),
        correlation_id: text("subject"),
        kind: text("type"),
        routing_key: "media.asset.replicated.west.east".to_owned(),
        headers: ["specversion", "id", "source", "type"].map(header).into(),
    }
}

#[test]
fn planted_faults_in_events_are_found() {
    let event = EventSchema::AssetReplicated.json()["examples"][0].clone();
    assert!(ensure_described(&message(&event)).is_ok());
    let told = |message: &Received| ensure_described(message).map_err(|error| error.to_string()).expect_err("passes");

    let mut wrong = event.clone();
    wrong["data"]["copy"]["copiedBytes"] = json!("12");
    assert!(told(&message(&wrong)).contains("/data/copy/copiedBytes"));
    wrong = event.clone();
    wrong["type"] = json!("media.asset.withdrawn.v1");
    assert!(told(&message(&wrong)).contains("without a schema"));
    let right = message(&event);
    assert!(
        told(&Received { routing_key: "media.asset.replicated.east.west".into(), ..right.clone() }).contains("key")
    );
    assert!(told(&Received { message_id: None, ..right.clone() }).contains("message_id: None"));
    assert!(told(&Received { headers: BTreeMap::new(), ..right.clone() }).contains("ce-id"));
    let mut odd = right;
    odd.headers.insert("x-odd".to_owned(), "1".to_owned());
    assert!(told(&odd).contains("x-odd"));
}
