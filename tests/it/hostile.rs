//! Services that mean harm: every one of them, in every bad manner, costs bounded time and memory, and is told clearly.

use anyhow::{Context, Result, ensure};
use testbed::hostile::{Hostile, Manner};

use crate::support::story::header;
use crate::support::{Worker, World, eventually};

/// Short limits, so that what is bounded by time ends soon; all the same a factor of ten above what is needed.
const LIMITS: &str = "[worker]\nlog_filter = 'info'\n[http]\ntries = 1\nconnect_timeout_seconds = 3\ntimeout_seconds = 3\n\
                      storage_timeout_seconds = 3\n";

/// The most memory that a worker may ever have had: it is a tenth of what is sent to it, and twice what it has when idle in an
/// unoptimised build.
const MOST_KIB: u64 = 110 * 1024;

/// Which service is the hostile one.
#[derive(Clone, Copy, Debug)]
enum Service {
    Token,
    Media,
    SourceStorage,
    ReplicaStorage,
    Streaming,
}

impl Service {
    /// Puts the hostile server in its place.
    fn replace(self, world: &World, hostile: &str) -> Result<()> {
        let azurite = world.azurite().as_str().trim_end_matches('/').to_owned();
        match self {
            Self::Token => world.change_config(world.emulator.acs_url(), hostile),
            Self::Media => world.change_config(world.emulator.front_door_url(), &format!("{hostile}/api/")),
            Self::SourceStorage => world.change_config(&format!("'{azurite}/west'"), &format!("'{hostile}/west'")),
            Self::ReplicaStorage => world.change_config(&format!("'{azurite}/east'"), &format!("'{hostile}/east'")),
            Self::Streaming => {
                let east = "[sites.east]\n";
                world.change_config(east, &format!("{east}streaming_url = '{hostile}/'\n"))
            }
        }
    }
}

/// What every manner is told as by one service: the codes of a message that met it.
async fn meets(service: Service, expected: &[(Manner, &[&str])]) -> Result<()> {
    let bait = Hostile::start(Manner::Silence).await?;
    for (manner, codes) in expected {
        let manner = match manner {
            Manner::Redirect(_) => {
                Manner::Redirect(format!("{}/elsewhere", bait.url().replace("127.0.0.1", "localhost")))
            }
            other => other.clone(),
        };
        let met = meet(service, &manner).await.with_context(|| format!("{service:?} {manner:?}"))?;
        ensure!(codes.contains(&met.as_str()), "{service:?} {manner:?}: {met}, not {codes:?}");
    }
    ensure!(bait.connections() == 0, "{service:?}: a redirect was followed to another host");
    Ok(())
}

/// One worker and one message; gives the code of its failure.
async fn meet(service: Service, manner: &Manner) -> Result<String> {
    let world = World::start().await?;
    let asset = world.encoded_asset("movie").await?;
    let hostile = Hostile::start(manner.clone()).await?;
    world.write_config(&["west", "east"], LIMITS)?;
    service.replace(&world, &hostile.url())?;
    let worker = Worker::start(&world.config()).await?;
    world.send_finished(&asset.id).await?;
    let code = || async {
        let log = worker.log();
        Ok(log.split_once("code=\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())))
    };
    let code = eventually("a failure", code).await.with_context(|| worker.log())?;
    ensure!(hostile.connections() > 0, "the hostile server was not asked: {}", worker.log());
    ensure!(worker.log().len() < 100_000, "a log as long as what was sent");
    let peak = worker.peak_memory_kib()?;
    ensure!(peak < MOST_KIB, "{peak} KiB of memory, {} bytes were sent", hostile.bytes());
    worker.kill().await?;
    Ok(code)
}

macro_rules! every_manner {
    ($service:expr; $($manner:expr => [$($code:literal),+]),+ $(,)?) => {
        meets($service, &[$(($manner, &[$($code),+])),+]).await
    };
}

#[tokio::test]
async fn a_hostile_token_door_is_bounded() -> Result<()> {
    every_manner!(Service::Token;
        Manner::Redirect(String::new()) => ["token-refused"],
        Manner::HugeError => ["media-service-error"],
        Manner::HugeAnswer => ["answer-too-large"],
        Manner::EndlessHeaders => ["connection-lost"],
        Manner::DrippingHead => ["timeout"],
        Manner::DrippingBody => ["timeout"],
        Manner::Silence => ["timeout"],
        Manner::Noise => ["connection-lost"],
    )
}

#[tokio::test]
async fn a_hostile_media_service_is_bounded() -> Result<()> {
    every_manner!(Service::Media;
        Manner::Redirect(String::new()) => ["redirect-refused"],
        Manner::HugeError => ["media-service-error"],
        Manner::HugeAnswer => ["answer-too-large"],
        Manner::EndlessHeaders => ["connection-lost"],
        Manner::DrippingHead => ["timeout"],
        Manner::DrippingBody => ["timeout"],
        Manner::Silence => ["timeout"],
        Manner::Noise => ["connection-lost"],
    )
}

#[tokio::test]
async fn hostile_storage_of_the_source_is_bounded() -> Result<()> {
    every_manner!(Service::SourceStorage;
        Manner::Redirect(String::new()) => ["storage-refused"],
        Manner::HugeError => ["storage-busy"],
        Manner::HugeAnswer => ["storage-unreachable"],
        Manner::EndlessHeaders => ["storage-unreachable"],
        Manner::DrippingHead => ["storage-unreachable"],
        Manner::DrippingBody => ["storage-unreachable"],
        Manner::EndlessPage => ["storage-unreachable"],
        Manner::Silence => ["storage-unreachable"],
        Manner::Noise => ["storage-unreachable"],
    )
}

/// Each page is good, and there is always a next one: no job works at it for longer than its slice, and in the end it is given
/// up at the deadline, as everything is.
#[tokio::test]
async fn a_listing_without_end_is_given_up_at_the_deadline() -> Result<()> {
    let (hostile, world) = (Hostile::start(Manner::EndlessPages).await?, World::start().await?);
    let asset = world.encoded_asset("movie").await?;
    let limits = LIMITS.replace("[http]", "slice_seconds = 3\nmax_hold_seconds = 9\njob_deadline_seconds = 10\n[http]");
    world.write_config(&["west", "east"], &limits)?;
    Service::SourceStorage.replace(&world, &hostile.url())?;
    let worker = Worker::start(&world.config()).await?;
    world.send_finished(&asset.id).await?;
    let letter = world.take("replication.dead").await.with_context(|| worker.log())?;
    ensure!(header(&letter, "x-replication-class")? == "expired", "{}", worker.log());
    let (pages, peak) = (hostile.pages(), worker.peak_memory_kib()?);
    ensure!(pages > 100 && peak < MOST_KIB, "{peak} KiB of memory after {pages} pages");
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn hostile_storage_of_the_replica_is_bounded() -> Result<()> {
    every_manner!(Service::ReplicaStorage;
        Manner::Redirect(String::new()) => ["storage-refused"],
        Manner::HugeError => ["storage-busy"],
        Manner::HugeAnswer => ["storage-unreachable"],
        Manner::EndlessHeaders => ["storage-unreachable"],
        Manner::DrippingHead => ["storage-unreachable"],
        Manner::DrippingBody => ["storage-unreachable"],
        Manner::Silence => ["storage-unreachable"],
        Manner::Noise => ["storage-unreachable"],
    )
}

#[tokio::test]
async fn a_hostile_streaming_endpoint_is_bounded() -> Result<()> {
    every_manner!(Service::Streaming;
        Manner::Redirect(String::new()) => ["manifest-refused"],
        Manner::HugeError => ["manifest-unavailable"],
        Manner::HugeAnswer => ["answer-too-large"],
        Manner::EndlessHeaders => ["connection-lost"],
        Manner::DrippingHead => ["timeout"],
        Manner::DrippingBody => ["timeout"],
        Manner::Silence => ["timeout"],
        Manner::Noise => ["connection-lost"],
    )
}

#[tokio::test]
async fn a_hostile_broker_is_bounded() -> Result<()> {
    let world = World::start().await?;
    for manner in [Manner::Silence, Manner::Noise, Manner::HugeAnswer] {
        let hostile = Hostile::start(manner.clone()).await?;
        world.write_config(&["west", "east"], "")?;
        let port = world.vhost.broker().amqp_port();
        world.change_config(&format!("@127.0.0.1:{port}/"), &format!("@127.0.0.1:{}/", hostile.port()))?;
        world.change_config("[rabbitmq]", "[rabbitmq]\ntimeout_seconds = 2")?;
        let worker = Worker::spawn(&world.config())?;
        worker.logs("broker").await?;
        let tried = || async { Ok((hostile.connections() >= 3).then_some(())) };
        eventually("three tries", tried).await.with_context(|| format!("{manner:?}: {}", worker.log()))?;
        let peak = worker.peak_memory_kib()?;
        ensure!(peak < MOST_KIB, "{manner:?}: {peak} KiB of memory, {} bytes were sent", hostile.bytes());
        assert_eq!(worker.terminate().await?, Some(0));
    }
    Ok(())
}
