//! Films play alike at both sites and through the front, also when a site ends in mid-play.

mod failover;
mod front;
mod world;

use anyhow::{Result, ensure};
use testbed::playing::{Format, PlayOptions, Variants, ensure_complete, ensure_no_failure, play};

use world::{World, entry};

#[tokio::test]
async fn every_format_plays_alike_at_both_sites() -> Result<()> {
    let world = World::with(&Format::ALL).await?;
    for film in &world.films {
        let format = film.0;
        let [west, east] = [&world.west, &world.east].map(|site| site.url());
        let here = play(&entry(&west, film)?, PlayOptions::default()).await?;
        let there = play(&entry(&east, film)?, PlayOptions::default()).await?;
        ensure_complete(format, &here)?;
        ensure!(here == there, "{format:?}: the sites differ");
        let best = PlayOptions { variants: Variants::Best, realtime: false };
        let best = play(&entry(&east, film)?, best).await?;
        ensure!(best.streams.len() == 2 && best.streams[0] == here.streams[0], "{format:?}: not the largest");
    }
    ensure_no_failure(&world.west.answered()?)?;
    world.east.quit().await?;
    ensure!(world.east.answered()?.iter().all(|one| one.status < 400));
    Ok(())
}
