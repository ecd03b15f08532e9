//! What subscribers are told of a dead letter: the event that must say the same as the letter itself.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::{Received, Subscription};

use super::within;

/// The type of the event, and the first words of its routing key.
const KIND: &str = "media.asset.replication_failed";

/// Waits for the next event, which must be about a failure, and reads it.
pub async fn next_failure(events: &mut Subscription) -> Result<(Received, Value)> {
    let event = within("the event of a failure", events.next()).await?;
    let body = event.json()?;
    ensure!(event.kind.as_deref() == Some(&format!("{KIND}.v1")), "something else was announced: {body:#}");
    Ok((event, body))
}

/// Checks that this event tells of this letter all that it should, for the replica at `east`.
pub fn ensure_tells_of(letter: &Received, (event, body): &(Received, Value)) -> Result<()> {
    let data = &body["data"];
    let letter_header = |name: &str| letter.headers.get(name).cloned();
    for (member, header) in
        [("code", "code"), ("class", "class"), ("step", "step"), ("hint", "hint"), ("error", "error")]
    {
        let said = letter_header(&format!("x-replication-{header}"));
        ensure!(data[member] == json!(said), "{member} is {} instead of {said:?}", data[member]);
    }
    let attempts: u64 = letter_header("x-replication-attempt").context("no attempts")?.parse()?;
    ensure!(data["attempts"] == attempts, "{} instead of {attempts} attempts", data["attempts"]);
    ensure!(data["firstSeenAt"] == json!(letter_header("x-replication-first-seen")), "{data:#}");
    let id = letter.message_id.as_deref().context("no message id")?;
    ensure!(data["deadLetterId"] == id, "{} instead of {id}", data["deadLetterId"]);

    let asked = letter.json()?;
    let asked = if asked["data"].is_object() { &asked["data"] } else { &asked };
    ensure!(data["asset"] == asked["asset"], "{} instead of {}", data["asset"], asked["asset"]);
    let correlation = if asked["correlation"].is_null() { &json!({}) } else { &asked["correlation"] };
    ensure!(data["correlation"] == *correlation, "{} instead of {correlation}", data["correlation"]);
    let sites: Vec<_> = [0, 1].map(|at| (&data["sites"][at]["name"], &data["sites"][at]["role"])).into();
    ensure!(sites == [(&json!("west"), &json!("source")), (&json!("east"), &json!("replica"))], "{sites:?}");
    ensure!(event.routing_key == format!("{KIND}.west.east"), "{}", event.routing_key);

    let header = |name: &str| event.headers.get(name).map(String::as_str);
    ensure!(event.message_id.as_deref() == body["id"].as_str() && header("ce-id") == body["id"].as_str(), "{event:?}");
    ensure!(event.correlation_id.as_deref() == body["subject"].as_str(), "{event:?}");
    ensure!(header("ce-type") == body["type"].as_str() && header("ce-source") == body["source"].as_str(), "{event:?}");
    Ok(())
}
