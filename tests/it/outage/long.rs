//! The same for as long as an outage lasts: two minutes, two hundred messages, the tiers of the defaults.

use std::time::Instant;

use super::*;
use crate::support::eventually;

const OUTAGE: Duration = Duration::from_secs(120);
/// Within so long of its end, all slots are at work again.
const FULL_WIDTH_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn two_hundred_messages_survive_two_minutes_without_the_replicas_storage() -> Result<()> {
    let world = World::start().await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("azurite has no address")?).await?;
    world.write_config_with_blob_url(&["west", "east"], "", proxy.url())?;
    // Those of the defaults, as the settings file of stories has others.
    world.set_retry_delays(&[5, 30, 120, 600, 3_600])?;
    storage_of_east_is_down(&proxy);
    let mut story = Story::begin_in(world).await?;
    let assets = send_assets(&story.world, 200).await?;
    story.worker.logs(BEGINS).await?;
    tokio::time::sleep(OUTAGE).await;

    proxy.clear_faults();
    let up = Instant::now();
    let is_over = || async { Ok((story.logged(ENDS) > 0).then_some(())) };
    eventually("the end of the outage", is_over).await.with_context(|| story.worker.log())?;
    let full_width_after = up.elapsed();
    ensure!(full_width_after < FULL_WIDTH_WITHIN, "full width only after {full_width_after:?}");
    let most = all_replicated(&mut story.events, &assets, &["east"]).await.with_context(|| story.worker.log())?;
    ensure!(most <= 5, "a message needed {most} attempts");
    ensure!(story.logged("dead letter") == 0, "{}", story.worker.log());
    ensure!((story.logged(BEGINS), story.logged(ENDS)) == (1, 1), "{}", story.worker.log());
    assert_eq!(story.worker.terminate().await?, Some(0));
    for queue in ["work", "dead", "parked", "retry.5s", "retry.30s", "retry.2m", "retry.10m", "retry.1h"] {
        let depth = story.world.vhost.queue_depth(&format!("replication.{queue}")).await?;
        ensure!(depth == Some(0), "queue {queue} has {depth:?}");
    }
    Ok(())
}
