//! No-key mode: storage is reached through SAS locators only, and none is left behind however a job ends.

mod chaos;
mod ends;
mod kills;
mod lag;
mod scene;
mod secrets;
mod whole;

pub use scene::world_without_keys;

use anyhow::Result;

/// How many assets, and how often a worker is killed while they are replicated, at least.
const ASSETS: usize = 100;
const KILLS: usize = 8;

#[tokio::test]
async fn a_hundred_assets_with_random_kills() -> Result<()> {
    chaos::replicate_under_fire(ASSETS, KILLS).await
}
