//! Five hundred messages of every kind, while the broker, the workers and the network between them fail at random.
#![expect(clippy::print_stdout, reason = "the seed is for whoever wants to see a run again")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use testbed::amqp::{Amqp, Outgoing};
use testbed::emulator::{FaultAction, FaultRule, PreparedFile};
use testbed::process::{RabbitMq, start_rabbitmq};
use testbed::tcp_proxy::TcpProxy;
use time::OffsetDateTime;
use tokio::time::sleep;
use uuid::Uuid;

use crate::support::story::SITES;
use crate::support::{
    End, Ledger, Published, Worker, World, ensure_each_replicated, ensure_nothing_to_do, eventually, media,
    workers_are_gone,
};

/// Where a seed is given to see a run again; the moments of the machine itself do not come again.
const SEED: &str = "FAULTS_SEED";
const MESSAGES: usize = 500;
const BROKER_KILLS: usize = 3;
const WORKER_KILLS: usize = 10;
const CUTS: usize = 10;
const WORKERS: usize = 2;
const SETTINGS: &str = "[worker]\nconcurrency = 8\n[http]\ntries = 1\n";
/// Calls of the media services between two faults; all messages together need some thousands.
const CALLS: std::ops::Range<usize> = 20..200;
/// A fault comes after this time at the latest, also when nobody calls any more.
const QUIET: Duration = Duration::from_secs(3);
/// How often the calls are counted.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may take until the next message ends: longer than a lease that a killed worker has left behind.
const PATIENCE: Duration = Duration::from_secs(90);

/// A seed of its own for each run, or the given one.
pub fn seed() -> u64 {
    std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>)
}

/// What a message comes to in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    /// Its calls take up to a second longer.
    Slow,
    /// Its first calls fail.
    Failing,
    /// There is no such asset.
    Permanent,
    Unusable,
    /// An asset that another message is about, too; half of the time under the same message id.
    Duplicate,
}

fn kind(random: &mut StdRng) -> Kind {
    match random.random_range(0..100) {
        0..20 => Kind::Good,
        20..26 => Kind::Slow,
        26..36 => Kind::Failing,
        36..52 => Kind::Permanent,
        52..76 => Kind::Unusable,
        _ => Kind::Duplicate,
    }
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    KillBroker,
    KillWorker,
    Cut,
}

/// The messages in the order of their sending, and what is expected of them.
#[derive(Default)]
struct Work {
    messages: Vec<Outgoing>,
    assets: Vec<Published>,
    dead: usize,
    parked: usize,
}

impl Work {
    async fn make(world: &World, random: &mut StdRng) -> Result<Self> {
        let mut kinds: Vec<_> = (0..MESSAGES).map(|_| kind(random)).collect();
        kinds[0] = Kind::Good;
        let of_assets = kinds.iter().filter(|kind| matches!(kind, Kind::Good | Kind::Slow | Kind::Failing)).count();
        let files = tiny_media()?;
        let making = stream::iter(0..of_assets).map(|_| tiny_asset(world, &files)).buffered(16);
        let assets: Vec<Published> = making.try_collect().await?;
        let (mut work, mut sent) = (Self { assets, ..Self::default() }, 0);
        for (at, kind) in kinds.into_iter().enumerate() {
            let id = format!("message-{at}");
            let message = match kind {
                Kind::Good | Kind::Slow | Kind::Failing => {
                    let asset = &work.assets[sent].id;
                    sent += 1;
                    disturb(world, asset, kind, random);
                    Ledger::finished(asset, &id)
                }
                Kind::Permanent => {
                    work.dead += 1;
                    Ledger::finished(&format!("nb:cid:UUID:{}", Uuid::from_u128(random.random())), &id)
                }
                Kind::Unusable => {
                    work.parked += 1;
                    Ledger::unusable(format!("{{ \"number\": {at}, "), &id)
                }
                Kind::Duplicate if random.random() => work.earlier_good(random),
                Kind::Duplicate => Ledger::finished(&work.assets[random.random_range(0..sent)].id, &id),
            };
            work.messages.push(message);
        }
        Ok(work)
    }

    /// A message that has been sent before, as it is; the first one is a good one.
    fn earlier_good(&self, random: &mut StdRng) -> Outgoing {
        let at = random.random_range(0..self.messages.len());
        let is_good = |message: &&Outgoing| message.body.starts_with(b"{\"specversion");
        let good = self.messages[..=at].iter().rev().find(is_good);
        good.unwrap_or(&self.messages[0]).clone()
    }
}

/// Enough to be streamed: one rendition of a few bytes, and its manifests.
fn tiny_media() -> Result<Vec<PreparedFile>> {
    let mut files = media()?;
    let ism = files.iter_mut().find(|file| file.name == "movie.ism").context("no manifest")?;
    let text = std::str::from_utf8(&ism.bytes)?;
    let begin = text.find("      <video src=\"movie_480").context("no second rendition")?;
    let end = text.find("    </switch>").context("no end of the renditions")?;
    ism.bytes = format!("{}{}", &text[..begin], &text[end..]).into();
    files.retain(|file| file.name.starts_with("movie.ism") || file.name.starts_with("movie_320"));
    Ok(files)
}

async fn tiny_asset(world: &World, files: &[PreparedFile]) -> Result<Published> {
    let west = world.site("west");
    let id = west.create_asset("movie", 0).await?;
    west.upload(&id, files).await?;
    let start = OffsetDateTime::now_utc().truncate_to_second() - Duration::from_secs(600);
    let locator = west.publish(&id, None, Some(start), Duration::from_secs(20 * 86_400))?;
    Ok(Published { id, locator: locator.uuid })
}

fn disturb(world: &World, asset_id: &str, kind: Kind, random: &mut StdRng) {
    let uuid = asset_id.rsplit(':').next().unwrap_or_default();
    match kind {
        Kind::Slow => {
            let delay = FaultAction::DelayMilliseconds(random.random_range(200..1_000));
            world.emulator.fault(FaultRule::new(delay).path(uuid).times(2));
        }
        Kind::Failing => {
            let times = random.random_range(1..4);
            world.emulator.fault(FaultRule::status(503).path(uuid).skip(random.random_range(0..3)).times(times));
        }
        _ => {}
    }
}

/// Everything that fails.
struct Fire<'a> {
    world: &'a World,
    broker: &'a RabbitMq,
    proxy: &'a TcpProxy,
    workers: Vec<Worker>,
    random: StdRng,
}

impl Fire<'_> {
    fn calls(&self) -> usize {
        self.world.emulator.requests().iter().count()
    }

    async fn burn(mut self) -> Result<Vec<Worker>> {
        let counts = [(Fault::KillBroker, BROKER_KILLS), (Fault::KillWorker, WORKER_KILLS), (Fault::Cut, CUTS)];
        let mut faults: Vec<_> = counts.into_iter().flat_map(|(fault, count)| vec![fault; count]).collect();
        faults.shuffle(&mut self.random);
        for fault in faults {
            let (next, patience) = (self.calls() + self.random.random_range(CALLS), Instant::now() + QUIET);
            while self.calls() < next && Instant::now() < patience {
                sleep(LOOK).await;
            }
            match fault {
                Fault::KillBroker => {
                    self.broker.kill();
                    self.broker.restart().await?;
                }
                Fault::KillWorker => {
                    let worker = self.workers.swap_remove(self.random.random_range(0..WORKERS));
                    worker.kill().await?;
                    self.workers.push(Worker::spawn(&self.world.config())?);
                }
                Fault::Cut if self.random.random_ratio(1, 3) => self.proxy.make_half_open(),
                Fault::Cut => self.proxy.reset(),
            }
        }
        Ok(self.workers)
    }
}

/// Sends everything, as encoders do: what was not confirmed is sent once more.
async fn send_all(world: &World, messages: &[Outgoing]) -> Result<()> {
    let url = world.vhost.amqp_url();
    for batch in messages.chunks(10) {
        let mut left = batch.iter().peekable();
        while left.peek().is_some() {
            let amqp = eventually("the broker", || async { Ok(Amqp::connect(&url).await.ok()) }).await?;
            while let Some(message) = left.peek() {
                if amqp.publish("media.events", "media.encoding.finished.test", (*message).clone()).await.is_err() {
                    break;
                }
                left.next();
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

pub async fn five_hundred_messages(seed: u64) -> Result<()> {
    println!("seed {seed}: set {SEED} to have it again");
    let begun = Instant::now();
    let mut random = StdRng::seed_from_u64(seed);
    let broker = start_rabbitmq().await?;
    let world = World::at_broker(&broker).await?;
    world.write_config(&SITES, SETTINGS)?;
    let proxy = TcpProxy::before_port(broker.amqp_port()).await?;
    world.reach_broker_through(&proxy)?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(world.worker().await?);
    }
    let mut ledger = Ledger::open(&world).await?;
    let work = Work::make(&world, &mut random).await?;
    ledger.expect(&work.messages);
    println!("{:?}: {} assets are made", begun.elapsed(), work.assets.len());

    // What a broker forgets that is killed within two seconds of a declaration is no worker's loss.
    broker.sync_declarations().await?;
    let fire = Fire { world: &world, broker: &broker, proxy: &proxy, workers, random };
    let (sent, workers) = tokio::join!(send_all(&world, &work.messages), fire.burn());
    let log = || broker.log().unwrap_or_else(|error| format!("the broker's log: {error:#}"));
    let (_, workers) = (sent.with_context(log)?, workers.with_context(log)?);
    println!("{:?}: the fire is out", begun.elapsed());
    let settled = ledger.settle(&world, PATIENCE).await;
    settled.with_context(|| workers.iter().map(Worker::log).collect::<Vec<_>>().join("\n\n"))?;
    println!("{:?}: every message has ended", begun.elapsed());
    for worker in workers {
        worker.terminate().await?;
    }
    // What was settled and not acknowledged is done once more.
    workers_are_gone(&world).await?;
    while ensure_nothing_to_do(&world).await.is_err() {
        let last = world.worker().await?;
        eventually("nothing to do", || async { Ok(ensure_nothing_to_do(&world).await.ok()) }).await?;
        assert_eq!(last.terminate().await?, Some(0));
        workers_are_gone(&world).await?;
    }
    let ledger = ledger.close(&world).await?;
    let ends = [End::Dead, End::Parked, End::Queued].map(|end| ledger.with_end(end).len());
    ensure!(ends == [work.dead, work.parked, 0], "{ends:?}, not {} dead, {} parked", work.dead, work.parked);
    ensure!(ledger.with_end(End::Done).len() + work.dead + work.parked == ledger.sent(), "the sum is wrong");
    ensure_each_replicated(&world, &work.assets).await?;
    println!("{:?}: {} of {} accounted for", begun.elapsed(), work.messages.len(), MESSAGES);
    Ok(())
}

#[tokio::test]
async fn five_hundred_messages_in_a_world_that_fails() -> Result<()> {
    five_hundred_messages(seed()).await
}
