//! Calls that the media service refuses for good in mid-run: one dead letter that says which, and all goes well once it does not.

use anyhow::{Context, Result};
use testbed::emulator::{FaultAction, FaultBody, FaultRule};

use super::{Story, header};
use crate::support::{eventually, next_event};

/// Verb, set, status, the step it is made in, and the letter's code.
type Refused = (&'static str, &'static str, u16, &'static str, &'static str);

const REFUSED: [Refused; 9] = [
    // First: later ones share the policy that is made then.
    ("POST", "AccessPolicies", 403, "ensure_replica_locator", "forbidden"),
    ("GET", "Assets", 403, "ensure_replica_asset", "forbidden"),
    ("POST", "Assets", 403, "ensure_replica_asset", "forbidden"),
    ("POST", "Assets", 400, "ensure_replica_asset", "bad-request"),
    ("GET", "CreateFileInfos", 409, "register_files", "conflict"),
    ("MERGE", "Files", 400, "register_files", "bad-request"),
    ("POST", "Locators", 400, "ensure_replica_locator", "bad-request"),
    ("MERGE", "Locators", 403, "ensure_replica_locator", "forbidden"),
    ("GET", "StreamingEndpoints", 412, "verify_playback", "refused"),
];

#[tokio::test]
async fn a_call_that_is_refused_for_good_is_a_dead_letter_whose_replay_finishes_the_work() -> Result<()> {
    let mut story = Story::begin("").await?;
    for (at, (method, set, status, step, code)) in REFUSED.into_iter().enumerate() {
        let body = [FaultBody::Odata, FaultBody::Html, FaultBody::Empty][at % 3];
        let action = FaultAction::Answer { status, body, retry_after_seconds: None };
        story.world.emulator.fault(FaultRule::new(action).on(method, set).of_account("eastmedia"));
        let asset = story.send_asset().await?;
        let letter = story.dead_letter().await.with_context(|| format!("{status} to {method} {set}"))?;
        let said = [header(&letter, "x-replication-step")?, header(&letter, "x-replication-code")?];
        assert_eq!(said, [step, code], "{status} to {method} {set}");
        assert_eq!(header(&letter, "x-replication-class")?, "permanent");
        assert_eq!(header(&letter, "x-replication-site")?, "east");
        let error = header(&letter, "x-replication-error")?;
        assert!(error.contains(&format!("{status} to {method} {set}")) && !error.contains('<'), "{error}");
        assert!(header(&letter, "x-replication-hint")?.len() > 10);

        story.world.send(letter.body, letter.message_id.as_deref()).await?;
        let event = next_event(&mut story.events).await.with_context(|| story.worker.log())?;
        assert_eq!(event["data"]["asset"]["id"], asset.id.as_str());
        assert_eq!(event["data"]["attempts"], 1);
    }
    let east = story.world.site("east");
    assert_eq!(east.assets().len(), REFUSED.len(), "one replica of each");
    Ok(())
}

#[tokio::test]
async fn what_is_not_seen_right_after_its_creation_is_waited_for() -> Result<()> {
    let story = Story::begin("[http]\ntries = 1\n").await?;
    let rule = || FaultRule::status(404).of_account("eastmedia");
    story.world.emulator.fault(rule().on("GET", "CreateFileInfos"));
    story.world.emulator.fault(rule().on("POST", "Locators"));
    let asset = story.send_asset().await?;
    let seen = || async { Ok((story.logged("not-visible-yet") >= 2).then_some(())) };
    eventually("two waits", seen).await?;
    story.finish(&asset.id, 3).await?;
    Ok(())
}
