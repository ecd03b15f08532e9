//! The same message again, and again after a `kill -9` at each step boundary: one replica, one locator, one event id.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::Subscription;
use testbed::emulator::{DoorKind, FaultAction, FaultRule};
use testbed::proxy::{Action, FaultProxy, Rule};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{World, ensure_one_replica, ensure_queues_empty, eventually, within};

/// Longer than any test, in milliseconds: what is held is let go by the end of its caller.
const HELD: u64 = 600_000;
/// Jobs and copies one after the other, so that "the second file" is one and the same moment in every run.
const ONE_BY_ONE: &str = "[worker]\nconcurrency = 1\n[copy]\nmax_requests = 1\n";
/// Every file of the test media.
const FILES: u64 = 6;

/// What is held at the moment of the kill.
enum Hold {
    /// A call of the media service or of its doors.
    Service(FaultRule),
    /// A call of the blob service.
    Storage(Rule),
}

/// The source before the message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Published,
    Unpublished,
    /// Unpublished, and the message says until when it may be streamed.
    UnpublishedWithEnd,
}

/// The call of the media service has taken effect, and nobody hears of it.
fn after(method: &str, set: &str, site: &str) -> Hold {
    Hold::Service(held().on(method, set).of_account(&format!("{site}media")).after_commit())
}

fn held() -> FaultRule {
    FaultRule::new(FaultAction::DelayMilliseconds(HELD))
}

/// The manifests of a site are asked for, and do not come.
fn at_manifest_of(site: &str) -> Hold {
    Hold::Service(held().at(DoorKind::Streaming).of_account(&format!("{site}media")))
}

/// The copy of a file is asked for, and never begins.
fn at_copy_of(file: &str) -> Hold {
    Hold::Storage(Rule::new(Action::Hang).header("x-ms-copy-source").path(file).times(1))
}

/// The copy is done, and the second listing of the source, the one that verifies, does not come.
fn at_verification() -> Hold {
    Hold::Storage(Rule::new(Action::Hang).path("/west/").query("comp=list").skip(1).times(1))
}

macro_rules! killed {
    ($($name:ident: $source:ident, $hold:expr;)*) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            let mut story = Story::begin(Source::$source).await?;
            story.kill_at($hold).await?;
            story.finish().await
        })*
    };
}

killed! {
    killed_before_the_first_call: Published, Hold::Service(held().at(DoorKind::Acs));
    killed_after_the_source_policy: Unpublished, after("POST", "AccessPolicies", "west");
    killed_after_the_source_locator: Unpublished, after("POST", "Locators", "west");
    killed_before_the_source_locator_ends_when_it_must: UnpublishedWithEnd, after("POST", "Locators", "west");
    killed_after_the_replica_asset: Published, after("POST", "Assets", "east");
    killed_before_the_first_copy: Published, at_copy_of("movie_320x180_100.mp4");
    killed_in_mid_copy: Published, at_copy_of("movie_480x270_180.mp4");
    killed_with_the_media_copied_and_no_manifest: Published, at_copy_of("movie.ism");
    killed_after_the_copy: Published, at_verification();
    killed_after_the_registration: Published, after("GET", "CreateFileInfos", "east");
    killed_after_the_first_mime_type: Published, after("MERGE", "Files", "east");
    killed_after_the_primary_file:
        Published, Hold::Service(held().on("MERGE", "Files").of_account("eastmedia").after_commit().skip(5));
    killed_after_the_replica_policy: Published, after("POST", "AccessPolicies", "east");
    killed_after_the_replica_locator: Published, after("POST", "Locators", "east");
    killed_after_the_locator_ends_with_its_twin: Published, after("MERGE", "Locators", "east");
    killed_at_the_source_manifest: Published, at_manifest_of("west");
    killed_at_the_replica_manifest: Published, at_manifest_of("east");
}

#[tokio::test]
async fn killed_after_the_event() -> Result<()> {
    let mut story = Story::begin(Source::Published).await?;
    let worker = story.world.worker().await?;
    story.send().await?;
    story.event().await.with_context(|| worker.log())?;
    worker.kill().await?;
    story.finish().await
}

#[tokio::test]
async fn killed_again_and_again_on_the_way() -> Result<()> {
    let mut story = Story::begin(Source::Unpublished).await?;
    story.kill_at(after("POST", "Locators", "west")).await?;
    story.kill_at(after("POST", "Assets", "east")).await?;
    story.kill_at(at_copy_of("movie_640x360_320.mp4")).await?;
    story.kill_at(after("GET", "CreateFileInfos", "east")).await?;
    story.kill_at(after("POST", "Locators", "east")).await?;
    story.finish().await
}

#[tokio::test]
async fn the_same_message_three_times_changes_nothing_after_the_first() -> Result<()> {
    let mut story = Story::begin(Source::Unpublished).await?;
    let worker = story.world.worker().await?;
    let mut seen = Vec::new();
    for sending in 1..=3 {
        story.send().await?;
        let event = story.event().await.with_context(|| worker.log())?;
        let replica = ensure_one_replica(&story.world, &story.asset_id).await?;
        let skipped = event["data"]["copy"]["skippedFiles"].as_u64();
        assert_eq!(skipped, Some(if sending == 1 { 0 } else { FILES }));
        seen.push((event["id"].clone(), event["source"].clone(), replica, story.policies()));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&story.world).await
}

#[tokio::test]
async fn three_workers_at_the_same_message_make_one_replica() -> Result<()> {
    let mut story = Story::begin(Source::Published).await?;
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(story.world.worker().await?);
        story.send().await?;
    }
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let event = within("an event", story.events.next()).await?.json()?;
        ids.insert((event["id"].to_string(), event["source"].to_string()));
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    ensure_one_replica(&story.world, &story.asset_id).await?;
    for worker in workers {
        assert_eq!(worker.terminate().await?, Some(0));
    }
    ensure_queues_empty(&story.world).await
}

/// One message on its way, and how often it was sent.
struct Story {
    world: World,
    proxy: FaultProxy,
    events: Subscription,
    asset_id: String,
    valid_until: Option<OffsetDateTime>,
    sent: u64,
    first_event: Option<Value>,
}

impl Story {
    async fn begin(source: Source) -> Result<Self> {
        let world = World::start().await?;
        let azurite = world.azurite().socket_addrs(|| None)?;
        let proxy = FaultProxy::start(*azurite.first().context("azurite has no address")?).await?;
        world.write_config_with_blob_url(&["west", "east"], ONE_BY_ONE, proxy.url())?;
        // The first worker declares the exchanges; it goes before there is anything to do.
        assert_eq!(world.worker().await?.terminate().await?, Some(0));
        let events = world.events().await?;
        let asset_id = match source {
            Source::Published => world.encoded_asset("movie").await?.id,
            Source::Unpublished | Source::UnpublishedWithEnd => world.unpublished_asset("movie").await?,
        };
        let end = (OffsetDateTime::now_utc() + time::Duration::days(9)).truncate_to_second();
        let valid_until = (source == Source::UnpublishedWithEnd).then_some(end);
        Ok(Self { world, proxy, events, asset_id, valid_until, sent: 0, first_event: None })
    }

    /// Sends the message: the same id each time, and a count that its event will carry.
    async fn send(&mut self) -> Result<()> {
        self.sent += 1;
        let mut message = json!({
            "specversion": "1.0", "id": "the-message", "source": "/encoders/test", "type": "media.encoding.finished.v1",
            "data": {
                "site": "west", "asset": { "id": self.asset_id }, "correlation": { "sending": self.sent.to_string() },
            },
        });
        if let Some(end) = self.valid_until {
            message["data"]["validUntil"] = end.format(&Rfc3339)?.into();
        }
        self.world.send(message.to_string(), Some("the-message")).await
    }

    /// Lets a new worker run into `hold`, and kills it there.
    async fn kill_at(&mut self, hold: Hold) -> Result<()> {
        let before = self.world.emulator.delayed().iter().count();
        let fault = match hold {
            Hold::Service(rule) => {
                self.world.emulator.fault(rule);
                None
            }
            Hold::Storage(rule) => Some(self.proxy.fault(rule)),
        };
        let worker = self.world.worker().await?;
        if self.sent == 0 {
            self.send().await?;
        }
        let delayed = || self.world.emulator.delayed().iter().count();
        let is_held = || fault.as_ref().map_or_else(|| delayed() > before, |fault| fault.hits() > 0);
        let held = eventually("the held call", || async { Ok(is_held().then_some(())) }).await;
        held.with_context(|| worker.log())?;
        worker.kill().await?;
        ensure!(self.world.emulator.clear_faults() == 0, "a fault is left over");
        self.proxy.clear_faults();
        Ok(())
    }

    /// Waits for the event of the latest sending. That of an earlier one may come again before it; all must be one event.
    async fn event(&mut self) -> Result<Value> {
        loop {
            let event = within("an event", self.events.next()).await?.json()?;
            let first = self.first_event.get_or_insert_with(|| event.clone());
            ensure!(
                event["id"] == first["id"] && event["source"] == first["source"],
                "two events: {first:#} {event:#}"
            );
            if event["data"]["correlation"]["sending"].as_str() == Some(self.sent.to_string().as_str()) {
                return Ok(event);
            }
        }
    }

    /// The ids of all access policies.
    fn policies(&self) -> Vec<String> {
        let sites = ["west", "east"].map(|site| self.world.site(site).access_policies());
        sites.into_iter().flatten().map(|policy| policy.id).collect()
    }

    /// A fresh worker finishes what the killed one began; the message once more shows that nothing was left to do.
    async fn finish(mut self) -> Result<()> {
        let worker = self.world.worker().await?;
        if self.first_event.is_none() {
            self.event().await.with_context(|| worker.log())?;
        }
        let (replica, policies) = (ensure_one_replica(&self.world, &self.asset_id).await?, self.policies());
        if let Some(end) = self.valid_until {
            assert_eq!(self.world.site("west").locators(&self.asset_id)[0].expires, Some(end));
        }
        self.send().await?;
        let again = self.event().await.with_context(|| worker.log())?;
        assert_eq!(again["data"]["copy"]["skippedFiles"], FILES);
        assert_eq!(again["data"]["copy"]["copiedFiles"], 0);
        assert_eq!(ensure_one_replica(&self.world, &self.asset_id).await?, replica);
        assert_eq!(self.policies(), policies, "an access policy was added");
        assert_eq!(policies.len(), 2, "one at each site");
        assert_eq!(worker.terminate().await?, Some(0));
        ensure_queues_empty(&self.world).await
    }
}
