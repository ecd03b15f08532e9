//! Nothing is wrong, it is just not ready: the message waits without using up an attempt.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::emulator::{CreateFileInfos, DoorKind, Lag, PreparedFile};

use super::{AGAIN, Story};
use crate::support::{ensure_one_replica, eventually, media, within};

#[tokio::test]
async fn a_locator_that_is_not_served_yet_is_waited_for_and_nothing_announced_before() -> Result<()> {
    let mut story = Story::begin("").await?;
    story.world.site("east").switch(|switches| switches.locator_stream_lag = Lag::requests(2))?;
    let asset = story.send_asset().await?;
    let event = story.event().await?;
    let requests = story.world.emulator.requests();
    let at_east = requests.at(DoorKind::Streaming).filter(|request| request.account.as_deref() == Some("eastmedia"));
    let statuses: Vec<u16> = at_east.map(|request| request.status).collect();
    assert_eq!(statuses[..2], [404, 404], "at the moment of the event: {statuses:?}");
    let played = &statuses[2..];
    assert!(played.len() > 3 && played.iter().all(|status| *status == 200), "manifests and segments: {statuses:?}");
    assert_eq!(story.logged("locator-not-visible"), 2);
    assert_eq!(event["data"]["attempts"], 1);
    story.ensure_no_event().await?;
    ensure_one_replica(&story.world, &asset.id).await?;
    Ok(())
}

#[tokio::test]
async fn a_locator_that_cannot_be_read_right_after_its_creation_is_not_made_twice() -> Result<()> {
    let mut story = Story::begin("").await?;
    for site in ["west", "east"] {
        story.world.site(site).switch(|switches| switches.locator_read_lag = Lag::requests(3))?;
    }
    let asset = story.world.unpublished_asset("movie").await?;
    story.world.send_finished(&asset).await?;
    let event = story.event().await?;
    assert_eq!(event["data"]["attempts"], 1);
    for site in ["west", "east"] {
        assert_eq!(story.world.site(site).access_policies().len(), 1, "{site}");
    }
    story.world.send_finished(&asset).await?;
    story.finish(&asset, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_notification_ahead_of_its_encoding_job_waits_for_it() -> Result<()> {
    let story = Story::begin("").await?;
    let west = story.world.site("west");
    west.switch(|switches| switches.job_state_lag_reads = 2)?;
    let mut notifications = story.world.emulator.notifications();
    west.submit_job("encoding", &["movie"]).await?;
    let finished = async {
        loop {
            let body = notifications.recv().await?;
            let parsed: Value = serde_json::from_str(&body)?;
            if parsed["Properties"]["NewState"] == "Finished" {
                return Ok(body);
            }
        }
    };
    let notification = within("the notification that the job has finished", finished).await?;
    story.world.send(notification, None).await?;
    story.worker.logs("encoding-job-not-finished").await?;
    let asset = west.assets().remove(0).id;
    story.finish(&asset, 1).await?;
    Ok(())
}

#[tokio::test]
async fn files_that_the_service_registers_in_several_goes_are_waited_for() -> Result<()> {
    let mut story = Story::begin("").await?;
    story.world.site("east").switch(|switches| switches.create_file_infos = CreateFileInfos::Partial(4))?;
    let asset = story.send_asset().await?;
    let event = story.event().await?;
    assert_eq!(event["data"]["attempts"], 1);
    assert_eq!(story.logged("files-not-registered"), 1);
    let requests = story.world.emulator.requests();
    let sets = requests.iter().filter_map(|request| match (&*request.method, request.entity_set.as_deref()) {
        ("GET", Some("CreateFileInfos")) => Some("files"),
        ("POST", Some("Locators")) => Some("locator"),
        _ => None,
    });
    assert_eq!(sets.collect::<Vec<_>>(), ["files", "files", "locator"], "no locator on half an asset");
    ensure_one_replica(&story.world, &asset.id).await?;
    Ok(())
}

/// Announces an asset that lacks the last file of its media, with what it will be once that is there.
async fn an_asset_is_waited_for_until_it_has(expected: fn(&[PreparedFile]) -> Value) -> Result<()> {
    let mut story = Story::begin("").await?;
    let west = story.world.site("west");
    let mut files = media()?;
    let promised = expected(&files);
    let Some(late) = files.pop() else { anyhow::bail!("no test media") };
    let asset = west.create_asset("movie", 0).await?;
    west.upload(&asset, &files).await?;
    let message = json!({ "site": "west", "asset": { "id": asset }, "expected": promised });
    story.world.send(message.to_string(), Some("promised")).await?;
    // Twice, so that waiting is not a single second chance.
    eventually("two looks at the source", || async { Ok((story.logged("source-incomplete") >= 2).then_some(())) })
        .await?;
    story.ensure_no_event().await?;
    assert!(story.world.site("east").assets().is_empty(), "nothing is made of half an asset");

    west.upload(&asset, &[late]).await?;
    let event = story.finish(&asset, 1).await?;
    assert_eq!(event["data"]["content"]["files"], 6);
    Ok(())
}

#[tokio::test]
async fn a_file_that_the_message_promises_is_waited_for() -> Result<()> {
    an_asset_is_waited_for_until_it_has(|files| json!({ "files": files.len() })).await
}

#[tokio::test]
async fn bytes_that_the_message_promises_are_waited_for() -> Result<()> {
    an_asset_is_waited_for_until_it_has(|files| json!({ "files": files.len(), "bytes": bytes_of(files) })).await
}

#[tokio::test]
async fn a_promise_that_is_kept_costs_no_wait() -> Result<()> {
    let mut story = Story::begin("").await?;
    let asset = story.world.encoded_asset("movie").await?;
    let files = media()?;
    let expected = json!({ "files": files.len(), "bytes": bytes_of(&files) });
    let message = json!({ "site": "west", "asset": { "id": asset.id }, "expected": expected });
    story.world.send(message.to_string(), Some("kept")).await?;
    story.event().await?;
    assert_eq!(story.logged(AGAIN), 0);
    Ok(())
}

fn bytes_of(files: &[PreparedFile]) -> usize {
    files.iter().map(|file| file.bytes.len()).sum()
}

#[tokio::test]
async fn an_announcement_ahead_of_every_file_is_waited_for() -> Result<()> {
    let story = Story::begin("").await?;
    let west = story.world.site("west");
    let asset = west.create_asset("movie", 0).await?;
    let promised = json!({ "site": "west", "asset": { "id": asset }, "expected": { "files": media()?.len() + 1 } });
    story.world.send(promised.to_string(), Some("early")).await?;
    story.worker.logs("source-incomplete").await?;
    // In two steps, so that the promise is kept only after the manifest is registered.
    west.upload(&asset, &media()?).await?;
    west.upload(&asset, &[PreparedFile::new("poster.jpg", "a poster")]).await?;
    let event = story.finish(&asset, 1).await?;
    assert_eq!(event["data"]["content"]["files"], 7);
    Ok(())
}
