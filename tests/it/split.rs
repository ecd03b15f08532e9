//! One notification of a job with several outputs, and several replica sites: nobody waits for anybody else.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::amqp::Subscription;
use testbed::emulator::Emulator;

use crate::support::{World, next_event, within};

const OUTPUTS: [&str; 3] = ["high", "low", "audio"];

/// The emulator's notification that an encoding job has finished, as its relay would publish it.
async fn finished_notification(
    emulator: &Emulator,
    submit: impl Future<Output = Result<String>>,
) -> Result<(String, String)> {
    let mut notifications = emulator.notifications();
    let job = submit.await?;
    let finished = async {
        loop {
            let body = notifications.recv().await?;
            let parsed: Value = serde_json::from_str(&body)?;
            if parsed["Properties"]["NewState"] == "Finished" && parsed["Properties"]["JobId"] == job.as_str() {
                return Ok((job, body));
            }
        }
    };
    within("the notification that the job has finished", finished).await
}

/// Reads `count` events as (asset name, replica site, event id).
async fn read_events(events: &mut Subscription, count: usize) -> Result<BTreeSet<(String, String, String)>> {
    let mut read = BTreeSet::new();
    for _ in 0..count {
        let event = next_event(events).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        read.insert((
            text(&event["data"]["asset"]["name"]),
            text(&event["data"]["sites"][1]["name"]),
            text(&event["id"]),
        ));
    }
    Ok(read)
}

fn names<'a>(events: impl IntoIterator<Item = &'a (String, String, String)>, site: &str) -> BTreeSet<&'a str> {
    events.into_iter().filter(|event| event.1 == site).map(|event| event.0.as_str()).collect()
}

#[tokio::test]
async fn a_job_with_three_outputs_makes_three_replicas_and_three_events_from_one_notification() -> Result<()> {
    let world = World::start().await?;
    let _worker = world.worker().await?;
    let mut events = world.events().await?;
    let west = world.site("west");
    let (_, notification) = finished_notification(&world.emulator, west.submit_job("three", &OUTPUTS)).await?;
    world.send(notification.clone(), None).await?;
    let first = read_events(&mut events, 3).await?;
    assert_eq!(names(&first, "east"), BTreeSet::from(OUTPUTS));
    assert_eq!(world.site("east").assets().len(), 3, "three replicas");

    // Delivered twice, as such notifications are: the same three again.
    world.send(notification, None).await?;
    assert_eq!(read_events(&mut events, 3).await?, first);
    assert_eq!(world.site("east").assets().len(), 3, "still three replicas");
    Ok(())
}

#[tokio::test]
async fn a_replica_site_that_is_down_delays_nobody_and_catches_up_when_it_returns() -> Result<()> {
    let world = World::with_sites(&["west", "east", "north"]).await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.emulator.take_down("north");
    let west = world.site("west");
    let (_, notification) = finished_notification(&world.emulator, west.submit_job("three", &OUTPUTS)).await?;
    world.send(notification, None).await?;
    let at_east = read_events(&mut events, 3).await.with_context(|| worker.log())?;
    assert_eq!(names(&at_east, "east"), BTreeSet::from(OUTPUTS), "all of the site that is up, while the other is down");
    worker.logs("will be tried again").await?;

    world.emulator.bring_up("north").await?;
    let at_north = read_events(&mut events, 3).await.with_context(|| worker.log())?;
    assert_eq!(names(&at_north, "north"), BTreeSet::from(OUTPUTS));
    assert_eq!((world.site("east").assets().len(), world.site("north").assets().len()), (3, 3));
    Ok(())
}
