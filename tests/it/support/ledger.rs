//! The invariant of every fault, seen from outside: each message that was sent ends in exactly one place, and what is done
//! was announced under one id.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::{Amqp, Outgoing, Received};
use tokio::time::{Duration, Instant};

use super::World;
use super::schemas::ensure_described;

/// Takes all events, over any restart of the broker.
const EVENTS: &str = "tests.events";
/// How often the queues are looked into.
const LOOK: Duration = Duration::from_millis(100);

/// Where a message is in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Announced at least once.
    Done,
    /// Among the dead letters.
    Dead,
    /// Among the unusable ones.
    Parked,
    /// Yet to be worked on, now or later.
    Queued,
}

/// What was sent and what came of it. A message is told by its message id, an event's by the id that the message had given
/// it to carry.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeSet<String>,
    ends: BTreeMap<String, BTreeSet<End>>,
    /// The ids of the events about each asset.
    events: BTreeMap<String, BTreeSet<String>>,
    events_seen: usize,
    /// The routing keys under which a message was set aside.
    keys: BTreeMap<String, BTreeSet<String>>,
    strange: Vec<String>,
}

impl Ledger {
    /// Begins to keep all events; the topology must be there.
    pub async fn open(world: &World) -> Result<Self> {
        world.amqp.bind_queue(EVENTS, "media.replication", "media.asset.#").await?;
        Ok(Self::default())
    }

    /// "Encoding finished" for an asset, under a message id.
    pub fn finished(asset_id: &str, id: &str) -> Outgoing {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/encoders/test", "type": "media.encoding.finished.v1",
            "data": { "site": "west", "asset": { "id": asset_id }, "correlation": { "message": id } },
        });
        Self::unusable(event.to_string(), id)
    }

    /// Any body under a message id.
    pub fn unusable(body: impl Into<bytes::Bytes>, id: &str) -> Outgoing {
        Outgoing { body: body.into(), message_id: Some(id.to_owned()), ..Outgoing::default() }
    }

    /// Takes down messages that somebody else sends.
    pub fn expect(&mut self, messages: &[Outgoing]) {
        self.sent.extend(messages.iter().filter_map(|message| message.message_id.clone()));
    }

    /// Sends a message as an encoder would.
    pub async fn send(&mut self, amqp: &Amqp, message: Outgoing) -> Result<()> {
        self.sent.extend(message.message_id.clone());
        amqp.publish("media.events", "media.encoding.finished.test", message).await
    }

    /// Sends "encoding finished" for an asset; gives the message's id.
    pub async fn send_finished(&mut self, world: &World, asset_id: &str) -> Result<String> {
        let id = format!("message-{}", self.sent.len() + 1);
        self.send(&world.amqp, Self::finished(asset_id, &id)).await?;
        Ok(id)
    }

    /// Waits until every message is done, dead or parked; for each next one no longer than `patience`, as all of them take
    /// as long as the machine needs.
    pub async fn settle(&mut self, world: &World, patience: Duration) -> Result<()> {
        let amqp = Amqp::connect(&world.vhost.amqp_url()).await?;
        let (mut ended, mut deadline) = (0, Instant::now() + patience);
        loop {
            self.read_ends(&amqp).await?;
            let open: Vec<_> = self.sent.iter().filter(|id| !self.ends.contains_key(*id)).collect();
            if open.is_empty() {
                return Ok(());
            }
            if self.ends.len() > ended {
                (ended, deadline) = (self.ends.len(), Instant::now() + patience);
            }
            ensure!(Instant::now() < deadline, "none of {} messages has ended in {patience:?}: {open:?}", open.len());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads all queues to their ends, when no worker is left to take anything out of them, and checks the invariant.
    pub async fn close(mut self, world: &World) -> Result<Self> {
        let amqp = Amqp::connect(&world.vhost.amqp_url()).await?;
        self.read_ends(&amqp).await?;
        let config = std::fs::read_to_string(world.config())?;
        let delays = config.lines().find_map(|line| line.strip_prefix("retry_delays_seconds = "));
        let delays: Vec<u64> = serde_json::from_str(delays.unwrap_or("[]"))?;
        let waiting =
            delays.into_iter().map(|delay| format!("retry.{}", stream_replicator::rabbitmq::delay_name(delay)));
        for queue in waiting.chain(["work".to_owned()]) {
            while let Some(message) = amqp.take(&format!("replication.{queue}")).await? {
                self.note(&message, End::Queued);
            }
        }
        let violations = self.violations();
        ensure!(violations.is_empty(), "{}", violations.join("\n"));
        Ok(self)
    }

    async fn read_ends(&mut self, amqp: &Amqp) -> Result<()> {
        // What nobody subscribed to at its time is kept, too.
        for queue in [EVENTS, "replication.unrouted"] {
            while let Some(event) = amqp.take(queue).await? {
                ensure_described(&event)?;
                if event.kind.as_deref() == Some("media.asset.replicated.v1") {
                    self.note_event(&event.json()?);
                }
            }
        }
        for (queue, end) in [("dead", End::Dead), ("parked", End::Parked)] {
            while let Some(message) = amqp.take(&format!("replication.{queue}")).await? {
                self.note(&message, end);
                let id = message.message_id.unwrap_or_default();
                self.keys.entry(id).or_default().insert(message.routing_key);
            }
        }
        Ok(())
    }

    fn note(&mut self, message: &Received, end: End) {
        match &message.message_id {
            Some(id) => drop(self.ends.entry(id.clone()).or_default().insert(end)),
            None => self.strange.push(format!("{end:?} without an id: {message:?}")),
        }
    }

    fn note_event(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let of =
            (text(&event["data"]["correlation"]["message"]), text(&event["data"]["asset"]["id"]), text(&event["id"]));
        let (Some(message), Some(asset), Some(id)) = of else { return self.strange.push(format!("{event:#}")) };
        self.ends.entry(message).or_default().insert(End::Done);
        self.events_seen += 1;
        self.events.entry(asset).or_default().insert(id);
    }

    fn violations(&self) -> Vec<String> {
        let mut found = self.strange.clone();
        for id in &self.sent {
            match self.ends.get(id).map(BTreeSet::len) {
                None => found.push(format!("{id} is lost")),
                Some(1) => {}
                Some(_) => found.push(format!("{id} has several ends: {:?}", self.ends.get(id))),
            }
        }
        found.extend(self.ends.keys().filter(|id| !self.sent.contains(*id)).map(|id| format!("nobody sent {id}")));
        let twice = self.events.iter().filter(|(_, ids)| ids.len() != 1);
        found.extend(twice.map(|(asset, ids)| format!("{asset} has the events {ids:?}")));
        found
    }

    /// How many events were published, repeated ones included.
    pub fn events_seen(&self) -> usize {
        self.events_seen
    }

    /// How many messages were sent.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// The messages with this end.
    pub fn with_end(&self, end: End) -> Vec<&str> {
        self.ends.iter().filter(|(_, ends)| ends.contains(&end)).map(|(id, _)| id.as_str()).collect()
    }

    /// The routing keys under which a message was set aside.
    pub fn keys_of(&self, id: &str) -> Vec<&str> {
        self.keys.get(id).into_iter().flatten().map(String::as_str).collect()
    }
}

#[test]
fn planted_losses_are_found() {
    let mut ledger = Ledger::default();
    ledger.sent.extend(["lost", "done", "twice"].map(str::to_owned));
    let event = |message: &str, asset: &str, id: &str| json!({ "id": id, "data": { "correlation": { "message": message }, "asset": { "id": asset } } });
    ledger.note_event(&event("done", "a", "1"));
    ledger.note_event(&event("done", "a", "1"));
    assert_eq!(ledger.violations(), ["lost is lost", "twice is lost"]);
    ledger.note_event(&event("twice", "a", "2"));
    ledger.ends.entry("twice".to_owned()).or_default().insert(End::Queued);
    ledger.ends.entry("unknown".to_owned()).or_default().insert(End::Dead);
    ledger.note_event(&json!({}));
    let expected = [
        "{}",
        "lost is lost",
        "twice has several ends: Some({Done, Queued})",
        "nobody sent unknown",
        "a has the events {\"1\", \"2\"}",
    ];
    assert_eq!(ledger.violations(), expected);
}
