//! Messages that are not for us: acknowledged with one log line, and no letter, event or replica anywhere.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::emulator::JobOutcome;

use crate::support::{Worker, World, ensure_one_replica, ensure_queues_empty, next_event, within};

/// Submits an encoding job at `west` and gives all its notifications, the last one being that it has ended.
async fn notifications_of(world: &World, name: &str, outcome: JobOutcome) -> Result<Vec<String>> {
    let west = world.site("west");
    west.switch(|switches| switches.job_outcome = outcome)?;
    let mut notifications = world.emulator.notifications();
    let job = west.submit_job(name, &["output"]).await?;
    let mut bodies = Vec::new();
    let ended = async {
        loop {
            let body = notifications.recv().await?;
            let properties = serde_json::from_str::<Value>(&body)?["Properties"].clone();
            if properties["JobId"] == job.as_str() {
                bodies.push(body);
                if ["Finished", "Error", "Canceled"].iter().any(|state| properties["NewState"] == *state) {
                    return Ok(());
                }
            }
        }
    };
    within("the end of the encoding job", ended).await?;
    Ok(bodies)
}

/// A notification that the emulator has no occasion to send.
fn notification(kind: impl Into<Value>, properties: &Value) -> String {
    let body = json!({
        "MessageVersion": "1.1", "ETag": "e", "EventType": kind.into(), "TimeStamp": "2026-11-20T10:15:30.1234567Z",
        "Properties": properties,
    });
    body.to_string()
}

/// Sends a message and waits for the line that it leaves in the log, which must be its only one.
async fn ensure_ignored(world: &World, worker: &Worker, id: &str, body: &str, reason: &str) -> Result<String> {
    world.send(body.to_owned(), Some(id)).await?;
    let of_message = format!("id=\"{id}\"");
    worker.logs(&of_message).await?;
    let log = worker.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(&of_message)).collect();
    let [line] = lines.as_slice() else { anyhow::bail!("not one line: {lines:#?}") };
    ensure!(line.contains(" INFO ") && line.contains(&format!("ignored reason=\"{reason}\"")), "{line}");
    Ok((*line).to_owned())
}

#[tokio::test]
async fn notifications_of_anything_but_success_are_acknowledged_with_one_log_line() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let failed = JobOutcome::Error { code: "EncoderFailed".into(), message: "the mezzanine has no video track".into() };
    let failed = notifications_of(&world, "evening news", failed).await?;
    let (error, before) = failed.split_last().context("no notifications")?;
    ensure!(!before.is_empty(), "nothing was told while the job ran");
    for (at, body) in before.iter().enumerate() {
        ensure_ignored(&world, &worker, &format!("before-{at}"), body, "job-not-ended").await?;
    }
    let line = ensure_ignored(&world, &worker, "error", error, "encoding-failed").await?;
    for told in ["evening news", "EncoderFailed", "the mezzanine has no video track", "nb:jid:UUID:"] {
        assert!(line.contains(told), "'{told}' is missing: {line}");
    }
    let canceled = notifications_of(&world, "late news", JobOutcome::Canceled).await?;
    let canceled = canceled.last().context("no notifications")?;
    ensure_ignored(&world, &worker, "canceled", canceled, "encoding-canceled").await?;

    let job = json!({ "JobId": "nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21", "NewState": "Finished" });
    let registered = json!({ "State": "Registered", "Name": "queue", "Created": "2026-11-20T10:15:30" });
    for (id, kind, properties, reason) in [
        ("task", json!("TaskStateChange"), &job, "task-notification"),
        ("progress", json!("TaskProgress"), &job, "task-notification"),
        ("progress-by-number", json!(5), &job, "task-notification"),
        ("registered", json!("NotificationEndPointRegistration"), &registered, "registration"),
        ("removed-by-number", json!(3), &registered, "registration"),
    ] {
        ensure_ignored(&world, &worker, id, &notification(kind, properties), reason).await?;
    }

    // The next thing that is announced is a good asset: the rest left nothing behind.
    let asset = world.encoded_asset("good").await?;
    world.send_finished(&asset.id).await?;
    assert_eq!(next_event(&mut events).await?["data"]["asset"]["id"], asset.id.as_str());
    ensure_one_replica(&world, &asset.id).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn our_own_replica_is_not_replicated_back() -> Result<()> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], "[routes.east]\nreplicas = ['west']\n")?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    let replica = event["data"]["asset"]["replicaId"].as_str().context("no replica id")?.to_owned();

    let body = json!({ "site": "east", "asset": { "id": replica } }).to_string();
    let line = ensure_ignored(&world, &worker, "back", &body, "own-replica").await?;
    assert!(line.contains(&asset.id), "does not say of which asset: {line}");
    assert_eq!(world.site("west").assets().len(), 1, "replicated back");
    ensure_one_replica(&world, &asset.id).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}
