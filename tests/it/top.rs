//! What a worker tells of the deliveries that it has in hand, and how `top` shows that to people.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::proxy::{FaultProxy, Rule};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::metrics::address;
use crate::support::story::Story;
use crate::support::{Published, eventually, media};

const SETTINGS: &str = "[admin]\nlisten = '127.0.0.1:0'\n[http]\ntries = 100\n[copy]\nmax_requests = 2\n";
/// Copied after the larger ones, and before all manifests.
const HELD: &str = "320x180";

async fn jobs(address: &str) -> Result<Value> {
    Ok(reqwest::get(format!("{address}/jobs")).await?.error_for_status()?.json().await?)
}

/// A job that has copied three of its files, and cannot get on with the next one until the faults are taken away.
async fn hold_in_copy(story: &Story, proxy: &FaultProxy) -> Result<(Published, Value)> {
    let url = address(&story.worker).await?;
    proxy.fault(Rule::answer(500, "InternalError").path(HELD).header("x-ms-copy-source"));
    let asset = story.send_asset().await?;
    let held = eventually("a job with three files", || async {
        let told = jobs(&url).await?;
        Ok((told["jobs"][0]["filesDone"] == 3 && told["jobs"][0]["copyRequests"] == 1).then_some(told))
    });
    Ok((asset, held.await.with_context(|| story.worker.log())?))
}

#[tokio::test]
async fn jobs_tells_what_is_in_hand_and_how_far_it_has_come() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SETTINGS).await?;
    let url = address(&story.worker).await?;
    let before = jobs(&url).await?;
    assert_eq!((&before["inHand"], &before["jobs"]), (&json!(0), &json!([])));
    let worker = &before["worker"];
    assert_eq!((&worker["version"], &worker["concurrency"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(4)));
    assert_eq!((&worker["readiness"], &worker["reason"], &worker["down"]), (&json!("ready"), &Value::Null, &json!([])));

    let (asset, told) = hold_in_copy(&story, &proxy).await?;
    let job = told["jobs"][0].as_object().context("no job")?;
    let bytes: u64 = media()?.iter().map(|file| file.bytes.len() as u64).sum();
    let done = 195_678 + 121_398 + 1_866;
    for (name, expected) in [
        ("asset", json!(asset.id)),
        ("source", json!("west")),
        ("replica", json!("east")),
        ("attempt", json!(1)),
        ("slice", json!(0)),
        ("step", json!("copy_blobs")),
        ("filesTotal", json!(6)),
        ("bytesTotal", json!(bytes)),
        ("bytesDone", json!(done)),
    ] {
        assert_eq!(job.get(name), Some(&expected), "{name}: {told:#}");
    }
    assert_eq!(told["inHand"], 1);
    ensure!(job["messageId"].as_str().is_some_and(|id| id.len() == 36), "{told:#}");
    let rate = job["bytesPerSecond"].as_u64().context("no rate")?;
    ensure!(rate > 0 && job["secondsInHand"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told:#}");
    for time in [&told["worker"]["startedAt"], &told["worker"]["since"], &job["since"], &job["firstSeen"]] {
        OffsetDateTime::parse(time.as_str().unwrap_or_default(), &Rfc3339).with_context(|| format!("{told:#}"))?;
    }
    ensure!(!told.to_string().contains("4711"), "of the body nothing but the asset is told: {told:#}");

    proxy.clear_faults();
    story.event().await?;
    let empty = || async { Ok((jobs(&url).await? == before).then_some(())) };
    eventually("nothing in hand", empty).await?;
    assert_eq!(story.worker.terminate().await?, Some(0));
    Ok(())
}
