//! The media service and its doors on a bad day: answers lost after the commit, dead tokens, gateways' pages, redirects.

use anyhow::Result;
use testbed::emulator::{DoorKind, FaultAction, FaultBody, FaultRule, Redirect};

use super::{AGAIN, Story, header};
use crate::support::within;

/// Every creation of one run of an unpublished source: site and entity set.
const CREATIONS: [(&str, &str); 5] = [
    ("westmedia", "AccessPolicies"),
    ("westmedia", "Locators"),
    ("eastmedia", "Assets"),
    ("eastmedia", "AccessPolicies"),
    ("eastmedia", "Locators"),
];

/// Carries every creation out and gives its caller a fault instead of the answer; then nothing may be there twice.
async fn every_creation_is_done_but(action: FaultAction) -> Result<()> {
    let story = Story::begin("").await?;
    for (account, set) in CREATIONS {
        story.world.emulator.fault(FaultRule::new(action.clone()).on("POST", set).of_account(account).after_commit());
    }
    let asset = story.world.unpublished_asset("movie").await?;
    story.world.send_finished(&asset).await?;
    let world_of = |story: &Story| {
        let sites = ["west", "east"].map(|site| story.world.site(site));
        let policies = sites.map(|site| site.access_policies().len());
        let created = CREATIONS.map(|(account, set)| story.world.emulator.requests().count("POST", set, account));
        (policies, created, story.world.emulator.clear_faults())
    };
    let mut story = story;
    let event = story.event().await?;
    assert_eq!(world_of(&story), ([1, 1], [1; 5], 0), "made once, asked for once, each fault met");
    assert_eq!(event["data"]["attempts"], 1);

    story.world.send_finished(&asset).await?;
    story.finish(&asset, 1).await?;
    Ok(())
}

fn answer(status: u16, body: FaultBody) -> FaultAction {
    FaultAction::Answer { status, body, retry_after_seconds: None }
}

#[tokio::test]
async fn creations_that_answer_500_after_the_commit_are_not_repeated() -> Result<()> {
    every_creation_is_done_but(answer(500, FaultBody::Odata)).await
}

#[tokio::test]
async fn creations_that_answer_a_gateways_502_after_the_commit_are_not_repeated() -> Result<()> {
    every_creation_is_done_but(answer(502, FaultBody::Html)).await
}

#[tokio::test]
async fn creations_whose_connection_breaks_after_the_commit_are_not_repeated() -> Result<()> {
    every_creation_is_done_but(FaultAction::Drop).await
}

#[tokio::test]
async fn a_token_that_dies_in_mid_run_is_renewed_without_using_up_an_attempt() -> Result<()> {
    let story = Story::begin("").await?;
    let revoked = FaultRule::new(FaultAction::RevokeToken).on("POST", "Locators").of_account("eastmedia");
    story.world.emulator.fault(revoked);
    let asset = story.send_asset().await?;
    let mut story = story;
    story.event().await?;
    assert_eq!(story.world.emulator.issued_tokens().len(), 3, "one for west, two for east");
    assert_eq!(story.world.emulator.requests().count("POST", "Locators", "eastmedia"), 2, "401, then done");
    assert_eq!(story.logged(AGAIN), 0);
    story.world.send_finished(&asset.id).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_busy_token_door_is_asked_again() -> Result<()> {
    let story = Story::begin("").await?;
    let busy = FaultRule::new(answer(503, FaultBody::Html)).at(DoorKind::Acs);
    story.world.emulator.fault(busy.times(2));
    let asset = story.send_asset().await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_gateways_pages_and_silences_are_tried_again_in_process() -> Result<()> {
    let story = Story::begin("").await?;
    for body in [FaultBody::Html, FaultBody::Empty] {
        for (status, set) in [(503, "Assets"), (504, "Locators"), (502, "StreamingEndpoints")] {
            story.world.emulator.fault(FaultRule::new(answer(status, body)).on("GET", set).of_account("eastmedia"));
        }
    }
    let asset = story.send_asset().await?;
    let event = story.finish(&asset.id, 1).await?;
    assert_eq!(event["data"]["asset"]["id"], asset.id.as_str());
    Ok(())
}

#[tokio::test]
async fn a_gateways_404_is_not_taken_for_an_asset_that_is_gone() -> Result<()> {
    let story = Story::begin("[http]\ntries = 1\n").await?;
    let page = FaultRule::new(answer(404, FaultBody::Html)).on("GET", "Assets").of_account("westmedia");
    story.world.emulator.fault(page);
    let asset = story.send_asset().await?;
    story.worker.logs(AGAIN).await?;
    assert!(!story.worker.log().contains('<'), "no page in the log: {}", story.worker.log());
    story.finish(&asset.id, 2).await?;
    Ok(())
}

#[tokio::test]
async fn an_extra_hop_at_the_front_door_is_followed_and_asked_once_for_each_account() -> Result<()> {
    let mut story = Story::begin("").await?;
    for site in ["west", "east"] {
        story.world.site(site).switch(|switches| switches.redirect = Redirect::ExtraHop)?;
    }
    let asset = story.send_asset().await?;
    story.event().await?;
    assert_eq!(story.world.emulator.requests().at(DoorKind::FrontDoor).count(), 4, "two hops for each account");
    story.world.send_finished(&asset.id).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_redirect_loop_is_a_dead_letter_that_names_the_setting() -> Result<()> {
    let mut story = Story::begin("").await?;
    story.world.site("east").switch(|switches| switches.redirect = Redirect::Loop)?;
    let asset = story.send_asset().await?;
    let letter = within("the dead letter", story.dead_letter()).await?;
    assert_eq!(letter.routing_key, "dead.permanent");
    assert_eq!(header(&letter, "x-replication-class")?, "permanent");
    assert_eq!(header(&letter, "x-replication-code")?, "redirect-loop");
    assert_eq!(header(&letter, "x-replication-site")?, "east");
    assert!(header(&letter, "x-replication-hint")?.contains("media.api_url"));

    // The address put right, the letter sent again: done.
    story.world.site("east").switch(|switches| switches.redirect = Redirect::Direct)?;
    story.world.send(letter.body, letter.message_id.as_deref()).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}
