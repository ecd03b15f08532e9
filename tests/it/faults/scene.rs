//! A worker that reaches its broker through a bad network, some work for it, and the books about it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::emulator::{FaultAction, FaultRule};
use testbed::tcp_proxy::TcpProxy;

use crate::support::story::SITES;
use crate::support::{End, Ledger, Published, Worker, World, ensure_each_replicated, eventually};

/// Longer than any test, in milliseconds: what is held is let go by the test.
pub const HELD: u64 = 600_000;
/// How long it may take until every message has ended.
pub const LIMIT: Duration = Duration::from_secs(90);
/// What the log says when a session has ended before its time.
pub const ENDED: &str = "session with the broker ended";
/// What the log says of each session that has begun.
pub const BEGUN: &str = "consuming";

/// A worker at work behind a proxy, and the books.
pub struct Scene {
    pub world: World,
    pub proxy: TcpProxy,
    pub worker: Worker,
    pub ledger: Ledger,
    pub assets: Vec<Published>,
}

impl Scene {
    /// With a proxy between the worker and the broker, and these settings.
    pub async fn begin(settings: &str) -> Result<Self> {
        Self::begin_in(World::start().await?, settings).await
    }

    pub async fn begin_in(world: World, settings: &str) -> Result<Self> {
        world.write_config(&SITES, settings)?;
        let proxy = TcpProxy::before_port(world.vhost.broker().amqp_port()).await?;
        world.reach_broker_through(&proxy)?;
        let worker = world.worker().await?;
        let ledger = Ledger::open(&world).await?;
        Ok(Self { world, proxy, worker, ledger, assets: Vec::new() })
    }

    /// Sends so many assets.
    pub async fn send(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let asset = self.world.encoded_asset("movie").await?;
            self.ledger.send_finished(&self.world, &asset.id).await?;
            self.assets.push(asset);
        }
        Ok(())
    }

    /// Sends three assets, and waits until one of them is on its way: its replica was made, and the worker does not know
    /// yet.
    pub async fn send_and_hold(&mut self) -> Result<()> {
        let held = FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on("POST", "Assets").after_commit();
        self.world.emulator.fault(held);
        self.send(3).await?;
        let is_held = || async { Ok((self.world.emulator.delayed().iter().count() == 1).then_some(())) };
        eventually("the held call", is_held).await.with_context(|| self.worker.log())
    }

    /// Lets go what is held.
    pub fn release(&self) {
        self.world.emulator.clear_faults();
        self.world.emulator.release_delayed();
    }

    /// Waits until the worker has logged a text that often.
    pub async fn logs_times(&self, text: &str, times: usize) -> Result<()> {
        let enough = || async { Ok((self.worker.log().matches(text).count() >= times).then_some(())) };
        eventually(&format!("{times} times '{text}'"), enough).await.with_context(|| self.worker.log())
    }

    /// Waits until everything is done, ends the worker, and checks that everything is there once, and nothing else.
    pub async fn finish(mut self) -> Result<()> {
        self.ledger.settle(&self.world, LIMIT).await.with_context(|| self.worker.log())?;
        assert_eq!(self.worker.terminate().await?, Some(0));
        let ledger = self.ledger.close(&self.world).await?;
        let done = ledger.with_end(End::Done);
        ensure!(done.len() == ledger.sent(), "only these are done: {done:?}");
        ensure_each_replicated(&self.world, &self.assets).await
    }
}
