//! The worker is killed at the two steps between its event and the end of the delivery: the event comes twice under one id.

use anyhow::{Context, Result, ensure};

use super::scene::{LIMIT, Scene};
use crate::support::eventually;

/// What the log says of a message that is settled.
const DONE: &str = ": replicated";

/// A job whose event is out, and a worker that could not yet settle its delivery because the network holds something up;
/// `hold` gets the worker's last two connections: the one it publishes on and the one it consumes on.
async fn killed_after_its_event(hold: impl Fn(&Scene, usize, usize), is_confirmed: bool) -> Result<()> {
    let mut scene = Scene::begin("").await?;
    // Longer than the story: no heartbeat shall tell.
    scene.world.change_config("heartbeat_seconds = 1\n", "heartbeat_seconds = 60\n")?;
    scene.world.change_config("timeout_seconds = 5\n", "timeout_seconds = 60\n")?;
    scene.worker.kill_in_place().await?;
    scene.worker = scene.world.worker().await?;
    // One that goes well, so that its channel is there for the next.
    scene.send(1).await?;
    scene.logs_times(DONE, 1).await?;
    let accepted = scene.proxy.accepted();
    hold(&scene, accepted - 2, accepted - 1);
    scene.send(1).await?;
    let announced = || async { Ok((scene.world.vhost.queue_depth("tests.events").await? == Some(2)).then_some(())) };
    eventually("the event", announced).await.with_context(|| scene.worker.log())?;
    if is_confirmed {
        // Its acknowledgement is sent, too, and on its way.
        scene.logs_times(DONE, 2).await?;
    }
    let done = scene.worker.log().matches(DONE).count();
    ensure!(done == 1 + usize::from(is_confirmed), "{}", scene.worker.log());
    scene.worker.kill_in_place().await?;
    // What the network held up never arrives.
    scene.proxy.reset();
    let are_gone = || async { Ok((scene.proxy.open() == 0).then_some(())) };
    eventually("the end of its connections", are_gone).await?;
    scene.proxy.heal();
    scene.worker = scene.world.worker().await?;
    scene.ledger.settle(&scene.world, LIMIT).await?;
    scene.logs_times(DONE, 1).await.context("it was not delivered again")?;
    scene.finish().await
}

#[tokio::test]
async fn killed_between_the_event_and_its_confirm() -> Result<()> {
    killed_after_its_event(|scene, publish, _| scene.proxy.hold_answers_of(publish), false).await
}

#[tokio::test]
async fn killed_between_the_confirm_and_the_acknowledgement() -> Result<()> {
    killed_after_its_event(|scene, _, consume| scene.proxy.hold_requests_of(consume), true).await
}
