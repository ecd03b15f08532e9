//! A source goes away, and viewers see nothing of it.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use testbed::playing::{
    Film, Format, Front, PlayOptions, Site, Variants, calm_after, ensure_complete, ensure_failed_over,
    ensure_no_failure, play, start_playing,
};

use crate::world::{WEST_BASE_PATH, World, entry, options};

const REALTIME: PlayOptions = PlayOptions { variants: Variants::All, realtime: true };

#[tokio::test]
async fn a_viewer_sees_nothing_of_a_source_that_is_killed() -> Result<()> {
    let world = World::with(&[Format::HlsTs]).await?;
    let film = &world.films[0];
    let direct = play(&entry(&world.east.url(), film)?, PlayOptions::default()).await?;
    let front = Front::start(&world.event(&world.west)).await?;
    let mut playback = start_playing(&entry(&front.url(), film)?, REALTIME)?;
    let without_front = start_playing(&entry(&world.west.url(), film)?, REALTIME)?;
    calm_after(10, &front).await?;
    world.west.stop();
    ensure!(playback.is_running()?, "it was over before the source ended");
    let interrupted = without_front.wait().await;
    ensure!(interrupted.is_err() || interrupted.is_ok_and(|played| !played.warnings.is_empty() && played != direct));
    let played = playback.wait().await?;
    ensure_complete(Format::HlsTs, &played)?;
    ensure!(played == direct, "it does not play as it does at the replica");
    ensure_failed_over(&front.answered()?, "west", "east").map(drop)
}

#[tokio::test]
async fn a_viewer_of_any_format_sees_nothing_of_a_source_that_is_shut_down() -> Result<()> {
    let world = World::with(&[Format::HlsFmp4, Format::HlsByteRanges, Format::Dash]).await?;
    try_join_all(world.films.iter().map(|film| shut_down_in_mid_play(&world, film))).await.map(drop)
}

async fn shut_down_in_mid_play(world: &World, film: &(Format, Film)) -> Result<()> {
    let west = world.another_west().await?;
    let front = Front::start(&world.event(&west)).await?;
    let direct = play(&entry(&west.url(), film)?, PlayOptions::default()).await?;
    let mut playback = start_playing(&entry(&front.url(), film)?, REALTIME)?;
    calm_after(10, &front).await?;
    west.quit().await?;
    ensure!(playback.is_running()?, "{:?}: it was over before the source ended", film.0);
    let played = playback.wait().await?;
    ensure_complete(film.0, &played)?;
    ensure!(played == direct, "{:?}: it does not play as it does at the source", film.0);
    ensure_failed_over(&front.answered()?, "west", "east").map(drop).with_context(|| format!("{:?}", film.0))
}

#[tokio::test]
async fn a_source_that_answers_502_is_passed_over() -> Result<()> {
    let world = World::with(&[Format::HlsTs]).await?;
    let broken = Site::start(options(&"http://127.0.0.1:1".parse()?, "west", WEST_BASE_PATH)).await?;
    let front = Front::start(&world.event(&broken)).await?;
    let film = &world.films[0];
    ensure_complete(film.0, &play(&entry(&front.url(), film)?, PlayOptions::default()).await?)?;
    let answered = front.answered()?;
    ensure_no_failure(&answered)?;
    ensure!(answered.iter().all(|one| one.asked.last().is_some_and(|site| site == "east")), "{answered:?}");
    let refused = broken.answered()?;
    ensure!(!refused.is_empty() && refused.iter().all(|one| one.status == 502), "{refused:?}");
    Ok(())
}
