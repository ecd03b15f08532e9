//! A message that is refused for good: what it must become, and what it may leave at the replica.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::{Received, Subscription};

use super::World;
use super::failed::{ensure_tells_of, next_failure};

/// How far a refused job may have come at the replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// No asset.
    Nothing,
    /// An asset with all its files, and nothing of ours that publishes it.
    UnpublishedCopy,
}

/// A message and the letter it must become.
pub struct Refusal {
    pub code: &'static str,
    pub step: &'static str,
    pub site: &'static str,
    pub left: Left,
    pub data: Value,
}

impl Refusal {
    pub fn new(code: &'static str, step: &'static str, asset_id: &str) -> Self {
        let data = json!({ "site": "west", "asset": { "id": asset_id } });
        Self { code, step, site: "west", left: Left::Nothing, data }
    }

    pub fn of_source_asset(code: &'static str, asset_id: &str) -> Self {
        Self::new(code, "find_source_asset", asset_id)
    }

    /// Refused when all is copied and the replica is to be published.
    pub fn of_replica_locator(code: &'static str, asset_id: &str) -> Self {
        Self { site: "east", left: Left::UnpublishedCopy, ..Self::new(code, "ensure_replica_locator", asset_id) }
    }

    fn asset_id(&self) -> &str {
        self.data["asset"]["id"].as_str().unwrap_or("none")
    }

    /// The message, with blanks that a rewrite would lose.
    fn body(&self, id: &str) -> String {
        let data = serde_json::to_string_pretty(&self.data).unwrap_or_default();
        format!(
            "{{ \"specversion\": \"1.0\",\t\"id\": \"{id}\", \"source\": \"/x\", \
             \"type\": \"media.encoding.finished.v1\",\n\"data\": {data} }}\n"
        )
    }

    pub async fn send(&self, world: &World, id: &str) -> Result<()> {
        world.send(self.body(id), Some(id)).await
    }

    fn check(&self, id: &str, letter: &Received) -> Result<()> {
        let header = |name: &str| letter.headers.get(name).map(String::as_str);
        let said = (header("x-replication-code"), header("x-replication-step"), header("x-replication-site"));
        let wanted = (Some(self.code), Some(self.step), Some(self.site));
        ensure!(said == wanted, "{said:?} instead of {wanted:?}: {:?}", header("x-replication-error"));
        let code = self.code;
        ensure!(header("x-replication-class") == Some("permanent"), "{code}: {:?}", header("x-replication-class"));
        ensure!(letter.routing_key == "dead.permanent", "{code}: {}", letter.routing_key);
        ensure!(header("x-replication-attempt") == Some("1"), "{code}: was tried again");
        for name in ["x-replication-hint", "x-replication-error"] {
            let is_text = header(name).is_some_and(|text| text.len() > 10 && !text.ends_with('.'));
            ensure!(is_text, "{code}: {name} is {:?}", header(name));
        }
        ensure!(letter.message_id.as_deref() == Some(id), "{code}: {:?}", letter.message_id);
        ensure!(letter.body == self.body(id).into_bytes(), "{code}: the body was changed");
        Ok(())
    }
}

/// Waits for the letters of all `sent`, which come in any order, and checks each; and that `events` tell of each.
pub async fn ensure_refused(
    world: &World,
    events: &mut Subscription,
    mut sent: BTreeMap<String, Refusal>,
) -> Result<Vec<Refusal>> {
    let (mut refused, mut letters) = (Vec::new(), BTreeMap::new());
    while !sent.is_empty() {
        let waiting = || sent.values().map(|refusal| refusal.code).collect::<Vec<_>>();
        let letter = world.take("replication.dead").await.with_context(|| format!("no letter for {:?}", waiting()))?;
        let id = letter.message_id.clone().context("message id lost")?;
        let refusal = sent.remove(&id).with_context(|| format!("a letter that nobody expects: {letter:?}"))?;
        refusal.check(&id, &letter)?;
        refused.push(refusal);
        letters.insert(id, letter);
    }
    while !letters.is_empty() {
        let event = next_failure(events).await?;
        let id = event.1["data"]["deadLetterId"].as_str().unwrap_or_default();
        let letter = letters.remove(id).with_context(|| format!("told twice, or nobody's: {event:?}"))?;
        ensure_tells_of(&letter, &event).with_context(|| format!("{:#}", event.1))?;
    }
    Ok(refused)
}

/// Sends them with ids of their own, which are given with them.
pub async fn send_all(world: &World, refusals: Vec<Refusal>) -> Result<BTreeMap<String, Refusal>> {
    let mut sent = BTreeMap::new();
    for (at, refusal) in refusals.into_iter().enumerate() {
        let id = format!("{at}-{}", refusal.code);
        refusal.send(world, &id).await?;
        sent.insert(id, refusal);
    }
    Ok(sent)
}

/// Checks that the replica site holds no more of it than it may.
pub async fn ensure_left(world: &World, refusal: &Refusal) -> Result<()> {
    let (east, mark) = (world.site("east"), format!("stream-replicator/1 west {}\n", refusal.asset_id()));
    let is_its = |text: &str| text.starts_with(&mark);
    let ours: Vec<_> =
        east.assets().into_iter().filter(|one| one.alternate_id.as_deref().is_some_and(is_its)).collect();
    let found = match ours.as_slice() {
        [] => Left::Nothing,
        [asset] => {
            let origins = east.locators(&asset.id).into_iter().filter(|locator| locator.kind == 2).count();
            ensure!(origins == 0, "{}: the replica was published", refusal.code);
            let blobs = world.storage("east")?.list(&asset.container).await?.context("no container")?;
            ensure!(!blobs.is_empty(), "{}: an empty asset is left", refusal.code);
            Left::UnpublishedCopy
        }
        several => anyhow::bail!("{}: several replicas: {several:?}", refusal.code),
    };
    ensure!(found == refusal.left, "{}: {found:?} is left instead of {:?}", refusal.code, refusal.left);
    Ok(())
}
