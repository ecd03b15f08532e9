//! `verify.segments`: both streaming endpoints are asked for segments, some or all, and what that finds.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use testbed::proxy::{Action, FaultProxy, Rule};

use super::films::{Film, StaticWorld};
use crate::support::{Worker, next_event};

const SEGMENTS: usize = 300;

async fn behind_proxy(settings: &str) -> Result<(StaticWorld, FaultProxy, Worker)> {
    let world = StaticWorld::start().await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("no address")?).await?;
    world.write_config(settings, proxy.url())?;
    let worker = world.worker().await?;
    Ok((world, proxy, worker))
}

/// How often each segment was asked for by HEAD.
fn asked(proxy: &FaultProxy) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for seen in proxy.requests().into_iter().filter(|seen| seen.method == "HEAD" && seen.target.ends_with(".m4s")) {
        *asked.entry(seen.target).or_default() += 1;
    }
    asked
}

#[tokio::test]
async fn all_are_asked_for_once_over_several_slices() -> Result<()> {
    let (world, proxy, worker) =
        behind_proxy("[worker]\nslice_seconds = 1\n[verify]\nsegments = 'all'\n[copy]\nmax_requests = 512\n").await?;
    let mut events = world.events().await?;
    // so long for each of them that they do not fit into one slice
    let slow = Rule::new(Action::Delay(Duration::from_millis(300))).method(Method::HEAD).path(".m4s");
    proxy.fault(slow);
    let film = Film::new("a/").with_hls(&["v"], SEGMENTS);
    world.upload("west", &film).await?;
    world.send_finished("west", &film).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    let verification = &event["data"]["verification"];
    assert_eq!((&verification["level"], &verification["segments"]), (&json!("playback"), &json!("all")));
    assert_eq!(verification["checked"], 1 + SEGMENTS, "the playlist and its segments");
    let log = worker.log();
    assert!(log.contains("segments are equally long at both sites so far"), "no slice ended in between: {log}");
    let asked = asked(&proxy);
    assert_eq!(asked.len(), SEGMENTS * 2, "at both sites");
    assert!(asked.values().all(|times| *times == 1), "asked again: {asked:?}");
    assert_eq!(event["data"]["attempts"], 1);
    Ok(())
}

#[tokio::test]
async fn none_are_asked_for_where_nobody_wants_it() -> Result<()> {
    let (world, proxy, worker) = behind_proxy("[verify]\nsegments = 'none'\n").await?;
    let mut events = world.events().await?;
    let film = Film::new("a/").with_hls(&["v"], 9).with_dash(9);
    world.upload("west", &film).await?;
    world.send_finished("west", &film).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    let verification = &event["data"]["verification"];
    assert_eq!((&verification["level"], &verification["checked"]), (&json!("manifest"), &json!(0)));
    assert_eq!(asked(&proxy), BTreeMap::new());

    // What has no manifest is asked for all the same, as nothing else shows that it is served. Storage's own calls are signed.
    let gone = Rule::answer(404, "BlobNotFound").method(Method::HEAD).path("/east/").without_query("sig=").times(4);
    let gone = proxy.fault(gone);
    let clip = Film::new("b/").with("clip.mp4", "video/mp4", "film");
    world.upload("west", &clip).await?;
    world.send_finished("west", &clip).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((&event["data"]["attempts"], gone.hits()), (&json!(2), 4), "{}", worker.log());
    assert_eq!(event["data"]["verification"]["level"], "playback");
    Ok(())
}

#[tokio::test]
async fn a_segment_that_the_replica_does_not_serve_keeps_it_from_being_announced() -> Result<()> {
    let (world, proxy, worker) = behind_proxy("[http]\ntries = 1\n").await?;
    let mut events = world.events().await?;
    let gone = Rule::answer(404, "BlobNotFound").method(Method::HEAD).path("/east/").path("v/00004.m4s").times(1);
    proxy.fault(gone);
    let film = Film::new("a/").with_hls(&["v"], 9);
    world.upload("west", &film).await?;
    world.send_finished("west", &film).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    let log = worker.log();
    ensure!(log.contains("segment-unavailable") && log.contains("v/00004.m4s' answers 404"), "{log}");
    assert_eq!(event["data"]["attempts"], 2, "{log}");
    let middle = asked(&proxy).into_iter().filter(|(target, _)| target.contains("00004")).count();
    assert_eq!(middle, 2, "the middle of nine, at both sites");
    Ok(())
}
