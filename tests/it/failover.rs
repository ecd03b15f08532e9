//! The whole promise with real players: films that FFmpeg makes are replicated, play alike from both sites, and go on playing
//! through a CDN's stand-in when the source goes away in their middle. The stand-in knows nothing but the event.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::playing::{
    Film as Encoded, Format, Front, PlayOptions, Site, SiteOptions, Variants, calm_after, ensure_complete,
    ensure_failed_over, play, start_playing,
};
use url::Url;

use crate::packaged::films::{Film, StaticWorld};
use crate::support::{Worker, next_event};

struct Stage {
    world: StaticWorld,
    west: Site,
    east: Site,
}

impl Stage {
    /// Two web servers that are addressed as differently as can be, before one storage account each.
    async fn set() -> Result<Self> {
        let world = StaticWorld::start().await?;
        let site = |account: &str, base_path: &str| {
            Site::start(SiteOptions {
                storage: world.azurite().clone(),
                account: account.to_owned(),
                base_path: base_path.to_owned(),
                host: None,
            })
        };
        let (west, east) = (site("west", "/vod/v1").await?, site("east", "").await?);
        world.write_config("[replication]\nprobe_path = '/healthz'\n[verify]\nbytes = 'all'\n", world.azurite())?;
        world.serve_at("west", &west.url())?;
        world.serve_at("east", &east.url())?;
        Ok(Self { world, west, east })
    }

    /// Encoded, uploaded to the source, and announced to the worker; what that announces.
    async fn replicated(&self, format: Format, worker: &Worker) -> Result<Value> {
        let (encoded, folder) = (Encoded::encode(format).await?, format!("{format:?}/"));
        self.world.make_container("west").await?;
        encoded.upload(&self.world.storage("west")?, &self.world.container, &folder).await?;
        let mut events = self.world.events().await?;
        self.world.send_finished("west", &Film::new(&folder)).await?;
        let event = next_event(&mut events).await.with_context(|| worker.log())?;
        ensure!(event["type"] == "media.asset.replicated.v1", "{event:#}");
        ensure!(event["data"]["verification"]["level"] == "playback", "{event:#}");
        ensure!(event["data"]["urls"].as_array().map(Vec::len) == Some(1), "one stream: {event:#}");
        Ok(event)
    }
}

fn address(event: &Value, of: &str) -> Result<Url> {
    Ok(event["data"]["urls"][0][of].as_str().context("no address")?.parse()?)
}

/// Plays it from both sites, then through the front while the source is killed.
async fn ensure_nobody_notices(stage: &Stage, format: Format, event: &Value) -> Result<()> {
    let from_source = play(&address(event, "source")?, PlayOptions::default()).await?;
    let from_replica = play(&address(event, "replica")?, PlayOptions::default()).await?;
    ensure_complete(format, &from_source)?;
    ensure!(from_source == from_replica, "both sites do not play alike");

    let front = Front::start(event).await?;
    let probed = front.probe().await?;
    ensure!(probed == [("west".to_owned(), true), ("east".to_owned(), true)], "{probed:?}");
    let path = event["data"]["urls"][0]["path"].as_str().context("no path")?;
    let realtime = PlayOptions { variants: Variants::All, realtime: true };
    let mut playback = start_playing(&format!("{}{path}", front.url()).parse()?, realtime)?;
    // The first third of the files is asked for at once, to find out what there is.
    let files = event["data"]["content"]["files"].as_u64().context("no number of files")? as usize;
    calm_after((files * 2 / 3).max(8), &front).await?;
    stage.west.stop();
    ensure!(playback.is_running()?, "it was over before the source went away");
    let played = playback.wait().await?;
    ensure!(played == from_source, "what the viewer saw is not the film: {:?}", played.warnings);
    ensure_failed_over(&front.answered()?, "west", "east")?;
    ensure!(front.probe().await? == [("west".to_owned(), false), ("east".to_owned(), true)]);
    stage.west.restart().await
}

#[tokio::test]
async fn hls_goes_on_when_the_source_is_killed() -> Result<()> {
    goes_on(&[Format::HlsTs]).await
}

#[tokio::test]
async fn dash_and_byte_ranges_go_on_when_the_source_is_killed() -> Result<()> {
    goes_on(&[Format::Dash, Format::HlsByteRanges]).await
}

async fn goes_on(formats: &[Format]) -> Result<()> {
    let stage = Stage::set().await?;
    let worker = stage.world.worker().await?;
    for format in formats {
        let event = stage.replicated(*format, &worker).await?;
        let played = ensure_nobody_notices(&stage, *format, &event).await;
        played.with_context(|| format!("{format:?}"))?;
    }
    ensure!(!stage.east.answered()?.is_empty());
    Ok(())
}
