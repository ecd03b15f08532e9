//! Encoding jobs: outputs at once, files at the end, notifications on the way.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use testbed::emulator::{Emulator, JobOutcome};
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use crate::support::{Client, clip, entity, start_with};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(30);

const BODY: &str = r#"<?xml version="1.0" encoding="utf-8"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset>
    <outputAsset assetName="News.mp4" assetCreationOptions="0">JobOutputAsset(0)</outputAsset></taskBody>"#;

async fn encoder() -> Result<Emulator> {
    start_with(|config| config.encoder.files = clip()).await
}

/// Submits a job over HTTP and gives its id and its output.
async fn submit(client: &Client, subscriptions: Value) -> Result<(String, String)> {
    let input = client.create("Assets", json!({"Name": "in"})).await?;
    let processors = client.get("MediaProcessors?$filter=Name eq 'Media Encoder Standard'").await?.d()?;
    let body = json!({
        "Name": "job",
        "InputMediaAssets": [{"__metadata": {"uri": format!("{}{}", client.root, entity("Assets", &input))}}],
        "Tasks": [{"Configuration": "H264", "MediaProcessorId": processors["results"][0]["Id"], "TaskBody": BODY}],
        "JobNotificationSubscriptions": subscriptions,
    });
    let job = client.create("Jobs", body).await?;
    let outputs = client.get(&format!("{}/OutputMediaAssets()", entity("Jobs", &job))).await?.d()?;
    let output = outputs["results"][0]["Id"].as_str().context("no output asset")?.to_owned();
    Ok((job, output))
}

/// The properties of the notification about a final state.
async fn end(notifications: &mut broadcast::Receiver<String>) -> Result<Value> {
    loop {
        let message: Value = serde_json::from_str(&timeout(LIMIT, notifications.recv()).await??)?;
        let state = message["Properties"]["NewState"].as_str().unwrap_or_default();
        if ["Finished", "Error", "Canceled"].contains(&state) {
            return Ok(message);
        }
    }
}

#[tokio::test]
async fn a_job_fills_its_outputs_and_tells() -> Result<()> {
    let emulator = encoder().await?;
    let west = emulator.account("west");
    let mut notifications = emulator.notifications();
    let client = Client::login(&emulator, "west").await?;
    let (job, output) = submit(&client, json!([])).await?;
    let container = format!("asset-{}", output.trim_start_matches("nb:cid:UUID:"));
    ensure!(west.storage()?.list(&container).await?.is_some(), "the container exists at once");

    let message = end(&mut notifications).await?;
    ensure!(message["MessageVersion"] == "1.1" && message["EventType"] == 1, "{message}");
    ensure!(message["ETag"].as_str().map(str::len) == Some(64), "{message}");
    ensure!(message["Properties"]["JobId"] == job && message["Properties"]["NewState"] == "Finished", "{message}");
    let state = client.get(&format!("{}/State", entity("Jobs", &job))).await?;
    ensure!(state.json()? == json!({"d": {"State": 3}}), "{state:?}");
    let tasks = client.get(&format!("{}/Tasks", entity("Jobs", &job))).await?.d()?;
    ensure!(tasks["results"][0]["State"] == 3 && tasks["results"][0]["Progress"] == 100, "{tasks}");

    let files = west.files(&output);
    let primary: Vec<_> = files.iter().filter(|file| file.is_primary).map(|file| file.name.as_str()).collect();
    ensure!(files.len() == 3 && primary == ["News.ism"], "{files:?}");
    ensure!(
        files.iter().any(|file| file.name == "News_640x360_300.mp4" && file.mime_type.as_deref() == Some("video/mp4"))
    );
    let locator = west.publish(&output, None, None, Duration::from_secs(60))?;
    let manifest = client.http.get(format!("{}News.ism/manifest(format=m3u8-aapl)", locator.path)).send().await?;
    ensure!(manifest.status() == 200, "the renamed set plays");
    Ok(())
}

#[tokio::test]
async fn a_job_may_fail_or_lag() -> Result<()> {
    let emulator = encoder().await?;
    let west = emulator.account("west");
    let mut notifications = emulator.notifications();
    let client = Client::login(&emulator, "west").await?;
    let outcome = JobOutcome::Error { code: "EncoderFailed".into(), message: "no video".into() };
    west.switch(|switches| switches.job_outcome = outcome)?;
    let (job, output) = submit(&client, json!([])).await?;
    ensure!(end(&mut notifications).await?["Properties"]["NewState"] == "Error");
    let tasks = client.get(&format!("{}/Tasks", entity("Jobs", &job))).await?.d()?;
    ensure!(tasks["results"][0]["ErrorDetails"]["results"][0]["Code"] == "EncoderFailed", "{tasks}");
    ensure!(west.files(&output).is_empty());
    ensure!(client.get(&format!("CancelJob?jobid='{job}'")).await?.status == 400, "a job that has ended");

    west.switch(|switches| {
        switches.job_outcome = JobOutcome::Finished;
        switches.job_state_lag_reads = 2;
    })?;
    let job = west.submit_job("late", &["late output"]).await?;
    ensure!(end(&mut notifications).await?["Properties"]["NewState"] == "Finished");
    let mut states = Vec::new();
    for _ in 0..3 {
        states.push(client.get(&entity("Jobs", &job)).await?.d()?["State"].clone());
    }
    ensure!(states == [2, 2, 3], "{states:?}");
    Ok(())
}

#[tokio::test]
async fn a_job_may_be_cancelled_by_its_owner_or_by_the_service() -> Result<()> {
    let emulator = start_with(|config| config.encoder.step = Duration::from_secs(3600)).await?;
    let mut notifications = emulator.notifications();
    let client = Client::login(&emulator, "west").await?;
    let (job, _) = submit(&client, json!([])).await?;
    ensure!(client.send("DELETE", &entity("Jobs", &job), None).await?.status == 400, "a job that has not ended");
    ensure!(client.get(&format!("CancelJob?jobid='{job}'")).await?.status == 204);
    let message = end(&mut notifications).await?;
    let properties = &message["Properties"];
    ensure!(properties["OldState"] == "Queued" && properties["NewState"] == "Canceled", "{message}");
    ensure!(client.get(&entity("Jobs", &job)).await?.d()?["State"] == 5);
    ensure!(client.send("DELETE", &entity("Jobs", &job), None).await?.status == 204);
    emulator.shutdown().await;

    let emulator = encoder().await?;
    let mut notifications = emulator.notifications();
    emulator.account("west").switch(|switches| switches.job_outcome = JobOutcome::Canceled)?;
    emulator.account("west").submit_job("job", &["output"]).await?;
    ensure!(end(&mut notifications).await?["Properties"]["NewState"] == "Canceled");
    Ok(())
}

#[tokio::test]
async fn a_subscription_says_which_states_it_wants() -> Result<()> {
    let emulator = start_with(|_| {}).await?;
    let client = Client::login(&emulator, "west").await?;
    let end_point = client.create("NotificationEndPoints", json!({"EndPointAddress": "q", "EndPointType": 1})).await?;
    let processor = client.get("MediaProcessors").await?.d()?["results"][0]["Id"].clone();
    for (wanted, expected) in [(json!(0), 400), (json!(3), 400), (json!(1), 201), (json!("2"), 201)] {
        let subscriptions = json!([{"NotificationEndPointId": end_point, "TargetJobState": wanted}]);
        let tasks = json!([{"MediaProcessorId": processor, "TaskBody": BODY}]);
        let body = json!({"Name": "j", "Tasks": tasks, "JobNotificationSubscriptions": subscriptions});
        let answer = client.post("Jobs", body).await?;
        ensure!(answer.status == expected, "{wanted}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn webhooks_are_signed_over_their_bytes() -> Result<()> {
    let emulator = encoder().await?;
    let client = Client::login(&emulator, "west").await?;
    let (sender, mut received) = mpsc::unbounded_channel();
    let handler = move |headers: HeaderMap, body: String| {
        let _ = sender.send((headers, body));
        std::future::ready(())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/hook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(handler))).await });

    let key = [7_u8; 64];
    let body = json!({
        "Name": "hook", "EndPointAddress": address, "EndPointType": 3, "CredentialType": 1,
        "EncryptedEndPointCredential": STANDARD.encode(key),
    });
    let endpoint = client.create("NotificationEndPoints", body).await?;
    let (_, registration) = timeout(LIMIT, received.recv()).await?.context("no registration")?;
    let registration: Value = serde_json::from_str(&registration)?;
    ensure!(registration["EventType"] == 2 && registration["Properties"]["State"] == "Registered", "{registration}");

    submit(&client, json!([{"NotificationEndPointId": endpoint, "TargetJobState": 1}])).await?;
    let (headers, body) = timeout(LIMIT, received.recv()).await?.context("no notification")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(body.as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    ensure!(headers["ms-signature"] == format!("sha256={expected}"), "{headers:?}");
    let message: Value = serde_json::from_str(&body)?;
    ensure!(message["Properties"]["NewState"] == "Finished", "only the final state was asked for: {message}");
    ensure!(message["Properties"]["AccountId"] == headers["ms-mediaservices-accountid"].to_str()?, "{message}");
    Ok(())
}
