//! The three acts: one asset that is replicated, one that needs a second attempt, one that cannot be replicated.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::interval;

use super::encoder::Encoder;
use super::messages::{EVENTS_EXCHANGE, announce, replicated, subscribe, within};
use super::screen::{Screen, pretty, table};
use super::viewer::{Compared, Viewer};
use super::worker::Log;
use super::world::{EAST, RETRY_SECONDS, TRIES, WEST, World};
use crate::amqp::{Amqp, Received, Subscription};
use crate::emulator::FaultRule;
use crate::relay::Relay;

const NOTIFICATION_KEY: &str = "media.encoding.finished.ams-v2";
const DEAD_LETTERS: &str = "replication.dead";
/// How often a queue is looked into while it is empty.
const LOOK: Duration = Duration::from_millis(50);

/// Everybody who plays.
pub(super) struct Stage<'a> {
    screen: &'a Screen,
    world: &'a World,
    log: Log,
    encoder: Encoder,
    relay: Relay,
    viewer: Viewer,
    broker: Amqp,
    events: Subscription,
}

impl<'a> Stage<'a> {
    /// Lets everybody connect; the worker consumes already, so that its exchanges are there.
    pub(super) async fn set(screen: &'a Screen, world: &'a World, log: Log) -> Result<Self> {
        let encoder = Encoder::log_in(&world.emulator, WEST, world.media_key()).await?;
        let relay = Relay::start(world.amqp().await?, EVENTS_EXCHANGE, NOTIFICATION_KEY).await?;
        let (viewer, broker) = (Viewer::new().await?, world.amqp().await?);
        let events = subscribe(&broker).await?;
        Ok(Self { screen, world, log, encoder, relay, viewer, broker, events })
    }

    /// From the mezzanine file to the verified replica.
    pub(super) async fn walkthrough(&mut self) -> Result<()> {
        self.screen.heading("Act 1: a film is encoded in the west and becomes playable in the east");
        let seen = self.log.len();
        let root = self.encoder.root();
        self.screen.step("encoder", &format!("gets a token; the front door sends it to {root}"));
        let asset = self.encoder.create_asset("holiday mezzanine", 0).await?;
        let film = self.world.media.iter().max_by_key(|file| file.bytes.len()).context("no media")?.bytes.clone();
        let size = film.len();
        self.encoder.upload(&asset, &[("holiday.mp4".to_owned(), film)]).await?;
        self.screen.step("encoder", &format!("uploads holiday.mp4 ({size} bytes) by a SAS locator to asset {asset}"));
        let endpoint = self.encoder.register_webhook(self.relay.address(), self.relay.signing_key()).await?;
        self.screen.step("encoder", &format!("registers a webhook at {}", self.relay.address()));
        self.relay_until(|notification| notification["EventType"] == 2).await?;
        within("the worker's answer to the registration", self.log.says("ignored", seen)).await?;
        let submitted = self.encoder.submit(&asset, "holiday", &endpoint).await?;
        self.screen.step("encoder", &format!("submits job {}; its part is done", submitted.job));
        self.relay_until(|notification| notification["Properties"]["NewState"] == "Finished").await?;
        let event = replicated(self.screen, &mut self.events, (&mut self.log, seen), &submitted.output).await?;
        self.screen.block(&pretty(&event));
        self.view(&event, &submitted.output).await
    }

    /// A site that fails for a while.
    pub(super) async fn second_attempt(&mut self) -> Result<()> {
        self.screen.heading("Act 2: the east is overloaded; the message waits in a retry queue");
        let seen = self.log.len();
        let west = self.world.emulator.account(WEST);
        let asset = west.create_asset("news", 0).await?;
        west.upload(&asset, &self.world.media).await?;
        west.publish(&asset, None, None, Duration::from_secs(7 * 86_400))?;
        self.screen.step("media", &format!("asset {asset} is encoded and published at west"));
        self.world.emulator.fault(FaultRule::status(503).on("POST", "Locators").of_account(EAST).times(TRIES));
        let plan = format!("the east will answer 503 to {TRIES} requests for a locator: all tries of one attempt");
        self.screen.step("media", &plan);
        let mut retries = self.broker.subscribe("replication.retry", &format!("{RETRY_SECONDS}s")).await?;
        announce(self.screen, &self.broker, json!({"id": asset})).await?;
        within("a line about another try", self.log.says("will be tried again", seen)).await?;
        let retry = within("a message for the retry queue", retries.next()).await?;
        let code = retry.headers.get("x-replication-code").context("the message in the retry queue has no code")?;
        let queue = format!("replication.retry.{RETRY_SECONDS}s");
        self.screen.step("broker", &format!("keeps the message in queue {queue} meanwhile ({code})"));
        let event = replicated(self.screen, &mut self.events, (&mut self.log, seen), &asset).await?;
        let data = &event["data"];
        ensure!(data["attempts"] == 2, "the event counts {} attempts, not 2", data["attempts"]);
        ensure!(self.world.emulator.clear_faults() == 0, "the planned faults did not happen");
        let short = json!({
            "id": event["id"], "type": event["type"], "subject": event["subject"],
            "data": {
                "asset": data["asset"], "locatorId": data["locatorId"], "copy": data["copy"], "timing": data["timing"],
                "attempts": data["attempts"], "correlation": data["correlation"],
            },
        });
        self.screen.block(&pretty(&short));
        let opened = within("all URLs", self.viewer.open_all(&event)).await?;
        let urls = opened.len() * 2;
        self.screen.step("viewer", &format!("opens all {urls} URLs of the event (which is shortened here): 200"));
        Ok(())
    }

    /// An asset that is of no use elsewhere.
    pub(super) async fn dead_letter(&mut self) -> Result<()> {
        self.screen.heading("Act 3: an encrypted asset cannot be replicated; an operator is told why");
        let seen = self.log.len();
        let asset = self.encoder.create_asset("contract", 1).await?;
        let files: Vec<(String, Bytes)> =
            self.world.media.iter().map(|file| (file.name.clone(), file.bytes.clone())).collect();
        self.encoder.upload(&asset, &files).await?;
        self.screen.step("encoder", &format!("uploads the storage-encrypted asset {asset}"));
        announce(self.screen, &self.broker, json!({"id": asset})).await?;
        within("a line about a dead letter", self.log.says("dead letter", seen)).await?;
        let letter = within("the dead letter", self.take(DEAD_LETTERS)).await?;
        self.screen.step("operator", &format!("finds one letter in queue {DEAD_LETTERS}:"));
        let header = |name: &str| letter.headers.get(&format!("x-replication-{name}")).map_or("-", String::as_str);
        let mut rows = vec![("id", letter.message_id.as_deref().unwrap_or("-")), ("asset", asset.as_str())];
        rows.extend(["code", "class", "step", "site", "error", "hint"].map(|name| (name, header(name))));
        rows.extend([("attempts", header("attempt")), ("first seen", header("first-seen"))]);
        self.screen.card(&rows);
        ensure!(rows.iter().all(|(_, value)| *value != "-"), "the dead letter does not say everything");
        ensure!(header("class") == "permanent", "the dead letter is of class {}", header("class"));
        Ok(())
    }

    /// Shows what the relay passes on until the wanted notification has come.
    async fn relay_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<()> {
        loop {
            let notification = within("a notification at the relay", self.relay.next()).await?;
            let properties = &notification["Properties"];
            let told = properties["NewState"].as_str().unwrap_or("webhook registered");
            let text = format!("takes the notification '{told}', checks its signature and publishes it as it is");
            self.screen.step("relay", &format!("{text}: exchange {EVENTS_EXCHANGE}, key {NOTIFICATION_KEY}"));
            if wanted(&notification) {
                return Ok(());
            }
        }
    }

    /// Plays what the event announces from both sites, and shows it.
    async fn view(&self, event: &Value, asset: &str) -> Result<()> {
        let opened = within("all URLs", self.viewer.open_all(event)).await?;
        self.screen.step("viewer", &format!("opens {} URLs of the event:", opened.len() * 2));
        let heads = ["protocol", "west", "east", "path at both"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(heads).chain(opened).map(Vec::from).collect();
        self.screen.block(&table(&rows));

        let mut compared = Vec::new();
        for (name, size) in self.encoder.files(asset).await?.into_iter().filter(|(name, _)| name.ends_with(".mp4")) {
            let file = within("a download", self.viewer.compare(event, &name)).await?;
            ensure!(file.bytes as u64 == size, "{name} has {} bytes, and {size} were encoded", file.bytes);
            compared.push(file);
        }
        ensure!(!compared.is_empty(), "the asset has no MP4 files");
        self.screen.step("viewer", &format!("downloads {} MP4 files from both sites: equal", compared.len()));
        self.screen.block(&table(&rows_of(&compared)));
        Ok(())
    }

    /// Takes a letter out of a queue, where it is expected.
    async fn take(&self, queue: &str) -> Result<Received> {
        let mut looks = interval(LOOK);
        loop {
            looks.tick().await;
            if let Some(letter) = self.broker.take(queue).await? {
                return Ok(letter);
            }
        }
    }
}

fn rows_of(compared: &[Compared]) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["file".to_owned(), "bytes".to_owned(), "SHA-256 at both".to_owned()]];
    if compared.iter().any(|file| file.streams.is_some()) {
        rows[0].push("ffprobe at both".to_owned());
    }
    rows.extend(compared.iter().map(|file| {
        let digest = format!("{}...", &file.sha256[..24]);
        let mut row = vec![file.name.clone(), file.bytes.to_string(), digest];
        row.extend(file.streams.clone());
        row
    }));
    rows
}
