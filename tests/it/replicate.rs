//! The main job: an encoded asset becomes playable at the second site and is announced.

use anyhow::{Context, Result};

use crate::support::{World, next_event};

#[tokio::test]
async fn an_encoded_asset_becomes_playable_at_the_second_site_and_is_announced() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    println!("{}\n{event:#}", worker.log());
    assert_eq!(event["data"]["locatorId"], asset.locator.as_str());
    Ok(())
}
