//! Messages that nobody can act on: parked with their body untouched and the reason in headers, while the worker goes on.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;
use testbed::amqp::{Outgoing, Received};

use crate::support::{World, ensure_queues_empty, next_event};

const KEY: &str = "media.encoding.finished.test";
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const ASSET: &str = "nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
/// The most that the settings take by default: 1 MiB.
const MAX_BYTES: usize = 1024 * 1024;
/// So many malformed messages there are at least.
const AT_LEAST: usize = 50;

/// A malformed message and the code it must be parked under.
struct Case {
    code: &'static str,
    message: Outgoing,
}

fn case(code: &'static str, body: impl Into<bytes::Bytes>) -> Case {
    Case { code, message: Outgoing { body: body.into(), ..Outgoing::default() } }
}

/// Our event with this `data`, spelled with blanks that a rewrite would lose.
fn event(code: &'static str, data: &str) -> Case {
    let body = format!(
        "{{ \"specversion\":\"1.0\",\n  \"id\":\"e\", \"source\":\"/x\", \"type\":\"media.encoding.finished.v1\", \"data\": {data} }}\n"
    );
    let mut case = case(code, body);
    case.message.content_type = Some(STRUCTURED.to_owned());
    case
}

fn of_type(code: &'static str, kind: &str) -> Case {
    case(code, json!({ "specversion": "1.0", "id": "e", "source": "/x", "type": kind, "data": {} }).to_string())
}

/// An AMS v2 job notification.
fn notification(code: &'static str, kind: &str, job: &str, state: &str, account: &str) -> Case {
    let properties = json!({ "JobId": job, "NewState": state, "AccountName": account });
    let body = json!({ "MessageVersion": "1.1", "EventType": kind, "ETag": "e", "Properties": properties });
    case(code, body.to_string())
}

/// An asset with an id that must never get into a URL or a filter.
fn asset_id(id: &str) -> Case {
    event("wrong-asset-id", &json!({ "site": "west", "asset": { "id": id } }).to_string())
}

fn not_json() -> Vec<Case> {
    let mut batch = case("batch-unsupported", "[]");
    batch.message.content_type = Some("application/cloudevents-batch+json".to_owned());
    vec![
        case("not-json", ""),
        case("not-json", "encoding finished"),
        case("not-json", r#"{"asset":{"id":"#),
        case("not-json", vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}']),
        case("not-json", "\u{feff}{}"),
        case("not-json", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        case("not-json", format!(r#"{{"asset":{{"id":"{ASSET}"}}}} and more"#)),
        case("not-json", format!(r#"{{"asset":{{"id":"{ASSET}\ud800"}}}}"#)),
        case("not-json", format!("<asset id=\"{ASSET}\"/>")),
        case("not-json", vec![0; 4096]),
        case("not-json", "[".repeat(100_000)),
        case("not-json", format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000))),
        case("not-json", r#"{"expected":{"files":1e999}}"#),
        case("not-an-object", "[]"),
        case("not-an-object", "null"),
        case("not-an-object", "\"nb:cid:UUID:x\""),
        case("too-large", " ".repeat(MAX_BYTES + 1)),
        case("too-large", "9".repeat(3 * MAX_BYTES)),
        batch,
    ]
}

fn not_our_event() -> Vec<Case> {
    let header = |name: &str, value: &str| (format!("ce-{name}"), value.to_owned());
    let mut binary = case("unknown-version", json!({ "asset": { "id": ASSET } }).to_string());
    binary.message.headers =
        vec![header("specversion", "1.0"), header("id", "e"), header("type", "media.encoding.finished.v2")];
    let job = "nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
    vec![
        of_type("unknown-version", "media.encoding.finished.v2"),
        of_type("unknown-type", "com.example.other"),
        binary,
        case("unknown-specversion", r#"{"specversion":"0.3","id":"e","type":"media.encoding.finished.v1"}"#),
        case("no-event-id", r#"{"specversion":"1.0","type":"media.encoding.finished.v1","data":{}}"#),
        case("no-data", r#"{"specversion":"1.0","id":"e","type":"media.encoding.finished.v1"}"#),
        notification("unknown-event-type", "Invented", job, "Finished", "westmedia"),
        notification("unknown-job-state", "JobStateChange", job, "Invented", "westmedia"),
        notification("wrong-asset-id", "JobStateChange", "nb:jid:UUID:')/Tasks", "Finished", "westmedia"),
        notification("unknown-account", "JobStateChange", job, "Finished", "nobodysmedia"),
        case("unknown-event-type", r#"{"MessageVersion":"1.1","EventType":{},"Properties":[]}"#),
    ]
}

fn wrong_data() -> Vec<Case> {
    let with = |code, members: &str| event(code, &format!(r#"{{"asset":{{"id":"{ASSET}"}},{members}}}"#));
    vec![
        case("no-asset", "{}"),
        event("no-asset", r#"{"site":"west"}"#),
        event("no-asset", r#"{"asset":{}}"#),
        event("two-assets", &format!(r#"{{"asset":{{"id":"{ASSET}","name":"movie"}}}}"#)),
        event("wrong-data", "7"),
        event("wrong-data", "null"),
        event("wrong-data", r#"{"asset":"movie"}"#),
        event("wrong-data", r#"{"asset":{"id":4711}}"#),
        with("wrong-data", r#""site":["west"]"#),
        with("wrong-data", r#""site":"West Europe""#),
        with("wrong-data", r#""correlation":{"cmsId":4711}"#),
        with("wrong-data", r#""expected":{"files":-1}"#),
        with("unknown-site", r#""site":"south""#),
        with("no-route", r#""site":"east""#),
        with("no-route", r#""site":"west","replica":"south""#),
        with("wrong-time", r#""finishedAt":"yesterday""#),
        with("wrong-time", r#""finishedAt":"9999-12-31T23:59:59-01:00""#),
        with("wrong-time", r#""validUntil":"2026-13-45T00:00:00Z""#),
        asset_id(""),
        asset_id("x') or ('1' eq '1"),
        asset_id("nb:cid:UUID:../../Assets"),
        asset_id(&format!("{ASSET}')/Locators?$filter=x")),
        asset_id(&format!("{ASSET}\u{0}")),
        asset_id(&"9".repeat(50_000)),
    ]
}

/// A good asset is replicated and announced next: the worker lives, and announced nothing else before.
async fn ensure_worker_goes_on(world: &World, events: &mut testbed::amqp::Subscription) -> Result<()> {
    let asset = world.encoded_asset("good").await?;
    world.send_finished(&asset.id).await?;
    assert_eq!(next_event(events).await?["data"]["asset"]["id"], asset.id.as_str());
    assert_eq!(world.site("east").assets().len(), 1, "a replica of the good asset and nothing else");
    Ok(())
}

fn assert_parked(case: &Case, parked: &Received) {
    let (code, sent) = (case.code, &case.message);
    let header = |name: &str| parked.headers.get(name).map(String::as_str);
    assert_eq!(header("x-replication-code"), Some(code), "{:?}", header("x-replication-error"));
    assert_eq!(header("x-replication-class"), Some("invalid"), "{code}");
    assert!(header("x-replication-error").is_some_and(|text| !text.is_empty() && text.len() <= 2048), "{code}");
    assert_eq!(parked.routing_key, format!("parked.{code}"));
    assert_eq!(header("x-replication-source-exchange"), Some("media.events"), "{code}");
    assert_eq!(header("x-replication-source-key"), Some(KEY), "{code}");
    assert!(parked.body == sent.body, "{code}: the body was changed");
    assert_eq!(parked.content_type, sent.content_type, "{code}");
    for (name, value) in &sent.headers {
        assert_eq!(header(name), Some(value.as_str()), "{code}: {name}");
    }
}

#[tokio::test]
async fn malformed_messages_are_parked_as_they_came_and_the_worker_goes_on() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let mut cases = BTreeMap::new();
    for (at, mut case) in [not_json(), not_our_event(), wrong_data()].into_iter().flatten().enumerate() {
        let id = format!("malformed-{at}");
        case.message.message_id = Some(id.clone());
        case.message.headers.push(("x-encoder".to_owned(), "rack 7, Zoë".to_owned()));
        world.amqp.publish("media.events", KEY, case.message.clone()).await?;
        cases.insert(id, case);
    }
    assert!(cases.len() >= AT_LEAST, "{}", cases.len());
    while !cases.is_empty() {
        let parked = world.take("replication.parked").await.with_context(|| worker.log())?;
        let id = parked.message_id.as_deref().context("message id lost")?;
        let case = cases.remove(id).with_context(|| format!("parked twice: {id}"))?;
        assert_parked(&case, &parked);
    }
    ensure_worker_goes_on(&world, &mut events).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

/// The mark of the broker on a message that has been dead, as it would look had our own retry queue done it.
fn death(queue: &str, reason: &str) -> FieldTable {
    let mut death = FieldTable::default();
    for (name, value) in
        [("queue", queue), ("reason", reason), ("exchange", "replication.retry"), ("routing-keys", "now")]
    {
        death.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    death.insert("count".into(), AMQPValue::LongLongInt(7));
    death
}

/// Everything that a message may bring along from an earlier life.
fn brought_along() -> Outgoing {
    let deaths = [death("replication.retry.1s", "expired"), death("replication.work", "delivery_limit")]
        .map(AMQPValue::FieldTable);
    let mut other_headers = FieldTable::default();
    other_headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.to_vec().into()));
    other_headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(19));
    other_headers.insert("nested".into(), AMQPValue::FieldTable(death("nested", "nested")));
    other_headers.insert("bytes".into(), AMQPValue::LongString(vec![0xff, 0x00].into()));
    other_headers.insert("x-priority".into(), AMQPValue::LongInt(7));
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Outgoing {
        headers: vec![
            text("x-first-death-queue", "replication.retry.1s"),
            text("x-first-death-reason", "expired"),
            text("x-last-death-queue", "replication.work"),
            text("cms-id", "4711"),
        ],
        other_headers,
        ..Outgoing::default()
    }
}

#[tokio::test]
async fn what_a_message_brings_along_neither_stops_nor_loses_it() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let small = Outgoing { body: "small".into(), message_id: Some("small".into()), ..brought_along() };
    let mut large = Outgoing { body: "large".into(), message_id: Some("large".into()), ..brought_along() };
    large.headers.push(("blob".to_owned(), "x".repeat(70 * 1024)));

    world.amqp.publish("media.events", KEY, small).await?;
    let parked = world.take("replication.parked").await.with_context(|| worker.log())?;
    assert_eq!((parked.message_id.as_deref(), parked.body.as_slice()), (Some("small"), b"small".as_slice()));
    assert_eq!(parked.headers.get("cms-id").map(String::as_str), Some("4711"));
    assert_eq!(parked.headers.get("x-priority").map(String::as_str), Some("7"));
    let old_marks: Vec<_> = parked.headers.keys().filter(|name| name.contains("death")).collect();
    assert!(old_marks.is_empty(), "the broker's marks travel on: {old_marks:?}");

    world.amqp.publish("media.events", KEY, large.clone()).await?;
    let parked = world.take("replication.parked").await.with_context(|| worker.log())?;
    assert_eq!((parked.message_id.as_deref(), parked.body.as_slice()), (Some("large"), b"large".as_slice()));
    assert!(!parked.headers.contains_key("blob"), "too large to travel on");
    let dropped = parked.headers.get("x-replication-dropped-headers").map(String::as_str);
    assert_eq!(dropped, Some("blob, cms-id, x-priority"));
    assert_eq!(parked.headers.get("x-replication-code").map(String::as_str), Some("not-json"));

    // Through a retry queue and back: with the old marks on it, some brokers would drop it there as going in circles.
    world.emulator.take_down("east");
    let asset = world.encoded_asset("movie").await?;
    large.body = json!({ "site": "west", "asset": { "id": asset.id } }).to_string().into();
    world.amqp.publish("media.events", KEY, large).await?;
    worker.logs("will be tried again").await?;
    world.emulator.bring_up("east").await?;
    assert_eq!(next_event(&mut events).await.with_context(|| worker.log())?["data"]["asset"]["id"], asset.id.as_str());
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn headers_that_pretend_to_be_ours_do_no_harm() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let number = AMQPValue::LongLongInt;
    let text = |text: &str| AMQPValue::LongString(text.into());
    let pretended = [
        ("x-replication-attempt", number(i64::MAX)),
        ("x-replication-attempt", number(u32::MAX.into())),
        ("x-replication-attempt", number(-1)),
        ("x-replication-attempt", text("many")),
        ("x-replication-slice", number(u32::MAX.into())),
        ("x-replication-first-seen", text("9999-12-31T23:59:59.999Z")),
        ("x-replication-first-seen", text("9999-12-31T23:59:59-01:00")),
        ("x-replication-first-seen", text("0000-01-01T00:00:00Z")),
        ("x-replication-first-seen", text("-9999-01-01T00:00:00Z")),
        ("x-replication-first-seen", text("long ago")),
        ("x-replication-invented", text(&"x".repeat(130_900))),
        ("x-replication-source-key", text(&"x".repeat(130_900))),
        ("tracestate", text(&"x".repeat(130_900))),
        ("x-replication-class", text("permanent")),
    ];
    for (at, (name, value)) in pretended.into_iter().enumerate() {
        let mut message = Outgoing { body: "{".into(), message_id: Some(at.to_string()), ..Outgoing::default() };
        message.other_headers.insert(name.into(), value);
        world.amqp.publish("media.events", KEY, message).await?;
        let parked = world.take("replication.parked").await.with_context(|| format!("{name}\n{}", worker.log()))?;
        assert_eq!(parked.message_id, Some(at.to_string()), "{name}");
        assert_eq!(parked.headers.get("x-replication-class").map(String::as_str), Some("invalid"), "{name}");
        assert_eq!(parked.headers.get("x-replication-code").map(String::as_str), Some("not-json"), "{name}");
    }
    ensure_worker_goes_on(&world, &mut events).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn what_is_odd_but_allowed_is_replicated() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let odd = [
        json!({ "finishedAt": "0000-01-01T00:00:00Z", "validUntil": "9999-12-31T23:59:59Z" }),
        json!({ "finishedAt": "9999-12-31T23:59:59.999999999Z", "correlation": { "": "x".repeat(100_000) } }),
        json!({ "correlation": null, "replica": "east", "unknown": [[[]]] }),
    ];
    for (at, odd) in odd.into_iter().enumerate() {
        let mut data = odd;
        let asset = world.unpublished_asset("odd").await?;
        data["site"] = "west".into();
        data["asset"] = json!({ "id": format!(" {}\n", asset.to_uppercase()) });
        // None, the longest that AMQP can hold, and an empty one.
        let id = [None, Some("i".repeat(255)), Some(String::new())][at].clone();
        world.send(data.to_string(), id.as_deref()).await?;
        let event = next_event(&mut events).await.with_context(|| worker.log())?;
        assert_eq!(event["data"]["asset"]["id"], asset.as_str());
    }
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}
