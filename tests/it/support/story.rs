//! A worker at work behind what goes wrong, and what it announces.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::amqp::{Outgoing, Received, Subscription};
use testbed::proxy::FaultProxy;

use super::failed::{ensure_tells_of, next_failure};
use super::{Published, Worker, World, ensure_one_replica, ensure_queues_empty, within, workers_are_gone};

/// Both sites, west first.
pub const SITES: [&str; 2] = ["west", "east"];
/// What the log says of a message that goes to a retry queue.
pub const AGAIN: &str = "will be tried again";
/// Jobs and copies one after the other, so that "the first copy" is the same one in every run.
pub const ONE_BY_ONE: &str = "[worker]\nconcurrency = 1\n[copy]\nmax_requests = 1\n";

/// A worker at work, and what it announces.
pub struct Story {
    pub world: World,
    pub worker: Worker,
    pub events: Subscription,
}

impl Story {
    /// With these settings on top of the usual ones.
    pub async fn begin(settings: &str) -> Result<Self> {
        let world = World::start().await?;
        world.write_config(&SITES, settings)?;
        Self::begin_in(world).await
    }

    pub async fn begin_in(world: World) -> Result<Self> {
        let worker = world.worker().await?;
        let events = world.events().await?;
        Ok(Self { world, worker, events })
    }

    /// With a proxy between the worker and both storage accounts.
    pub async fn begin_behind_proxy(settings: &str) -> Result<(Self, FaultProxy)> {
        let world = World::start().await?;
        let azurite = world.azurite().socket_addrs(|| None)?;
        let proxy = FaultProxy::start(*azurite.first().context("azurite has no address")?).await?;
        world.write_config_with_blob_url(&SITES, settings, proxy.url())?;
        Ok((Self::begin_in(world).await?, proxy))
    }

    /// An encoded asset at the source, announced to the worker.
    pub async fn send_asset(&self) -> Result<Published> {
        let asset = self.world.encoded_asset("movie").await?;
        self.world.send_finished(&asset.id).await?;
        Ok(asset)
    }

    pub async fn event(&mut self) -> Result<Value> {
        within("an event", self.events.next()).await.with_context(|| self.worker.log())?.json()
    }

    /// The next dead letter, and that its failure was announced and nothing else.
    pub async fn dead_letter(&mut self) -> Result<Received> {
        let letter = self.world.take("replication.dead").await.with_context(|| self.worker.log())?;
        let event = next_failure(&mut self.events).await?;
        ensure_tells_of(&letter, &event).with_context(|| format!("{:#}", event.1))?;
        self.ensure_no_event().await?;
        Ok(letter)
    }

    /// Checks that nothing has been announced since the last event: what is published now comes first.
    pub async fn ensure_no_event(&mut self) -> Result<()> {
        let mark = Outgoing { body: "mark".into(), ..Outgoing::default() };
        self.world.amqp.publish("media.replication", "the.tests.mark", mark).await?;
        let next = within("the mark", self.events.next()).await?;
        ensure!(next.routing_key == "the.tests.mark", "announced: {}", String::from_utf8_lossy(&next.body));
        Ok(())
    }

    /// How many lines of the log hold this text.
    pub fn logged(&self, text: &str) -> usize {
        self.worker.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits for the event; checks that it took so many attempts, that the replica is whole, that nothing else was
    /// announced, and that no message is left anywhere.
    pub async fn finish(mut self, asset_id: &str, attempts: u64) -> Result<Value> {
        let event = self.event().await?;
        let replica = ensure_one_replica(&self.world, asset_id).await;
        replica.with_context(|| format!("after {event:#}\n{}", self.worker.log()))?;
        ensure!(event["data"]["attempts"] == attempts, "not {attempts} attempts: {event:#}\n{}", self.worker.log());
        self.ensure_no_event().await?;
        assert_eq!(self.worker.terminate().await?, Some(0));
        workers_are_gone(&self.world).await?;
        ensure_queues_empty(&self.world).await?;
        Ok(event)
    }
}

/// A header of a message.
pub fn header<'a>(message: &'a Received, name: &str) -> Result<&'a str> {
    message.headers.get(name).map(String::as_str).with_context(|| format!("no {name}: {:?}", message.headers))
}
