//! What the streaming endpoints answer when the manifests are fetched: nothing is announced before both sites play the same.

use anyhow::Result;
use testbed::emulator::{DoorKind, FaultAction, FaultBody, FaultRule, Lag};

use super::{AGAIN, Story, header};

/// An answer of a site's streaming endpoint.
fn streaming(site: &str, status: u16, body: FaultBody) -> FaultRule {
    let action = FaultAction::Answer { status, body, retry_after_seconds: None };
    FaultRule::new(action).at(DoorKind::Streaming).of_account(&format!("{site}media"))
}

#[tokio::test]
async fn a_new_locator_is_waited_for_whatever_is_answered_meanwhile() -> Result<()> {
    let story = Story::begin("").await?;
    for (status, body) in [(401, FaultBody::Html), (403, FaultBody::Empty), (404, FaultBody::Html)] {
        story.world.emulator.fault(streaming("east", status, body));
    }
    let asset = story.send_asset().await?;
    story.worker.logs("locator-not-visible").await?;
    let event = story.finish(&asset.id, 1).await?;
    assert_eq!(event["data"]["attempts"], 1);
    Ok(())
}

#[tokio::test]
async fn a_source_locator_that_we_have_just_made_is_waited_for_too() -> Result<()> {
    let mut story = Story::begin("").await?;
    story.world.site("west").switch(|switches| switches.locator_stream_lag = Lag::requests(2))?;
    let asset = story.world.unpublished_asset("movie").await?;
    story.world.send_finished(&asset).await?;
    let event = story.event().await?;
    assert_eq!(event["data"]["attempts"], 1, "{}", story.worker.log());
    assert_eq!(story.logged("locator-not-visible"), 2);
    story.ensure_no_event().await
}

#[tokio::test]
async fn a_source_that_has_been_published_for_long_and_does_not_play_costs_attempts() -> Result<()> {
    let story = Story::begin("").await?;
    story.world.emulator.fault(streaming("west", 404, FaultBody::Html));
    let asset = story.world.unpublished_asset("movie").await?;
    let began = time::OffsetDateTime::now_utc().truncate_to_second() - time::Duration::days(1);
    let days = std::time::Duration::from_secs(9 * 86_400);
    story.world.site("west").publish(&asset, None, Some(began), days)?;
    story.world.send_finished(&asset).await?;
    story.worker.logs("manifest-unavailable").await?;
    story.finish(&asset, 2).await?;
    Ok(())
}

#[tokio::test]
async fn an_endpoint_in_trouble_is_asked_again_through_the_queue() -> Result<()> {
    let mut story = Story::begin("").await?;
    // 200 with a page instead of a manifest is trouble too.
    for (site, status) in [("west", 503), ("east", 500), ("east", 200)] {
        story.world.emulator.fault(streaming(site, status, FaultBody::Html));
    }
    story.send_asset().await?;
    let event = story.event().await?;
    let attempts = event["data"]["attempts"].as_u64().unwrap_or_default();
    assert!((2..=4).contains(&attempts), "both sites are asked at once, so two may meet in one attempt: {attempts}");
    assert_eq!(story.world.emulator.clear_faults(), 0);
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_redirects_or_has_let_the_locator_expire_is_a_dead_letter() -> Result<()> {
    let mut story = Story::begin("").await?;
    for (status, code) in [(410, "locator-expired"), (302, "manifest-refused"), (400, "manifest-refused")] {
        story.world.emulator.fault(streaming("east", status, FaultBody::Html));
        story.send_asset().await?;
        let letter = story.dead_letter().await?;
        assert_eq!(header(&letter, "x-replication-code")?, code);
        assert_eq!(header(&letter, "x-replication-step")?, "verify_playback");
        assert_eq!(header(&letter, "x-replication-site")?, "east");
        assert!(header(&letter, "x-replication-hint")?.len() > 10);
    }
    assert_eq!(story.logged(AGAIN), 0);
    Ok(())
}
