//! Quotas, page sizes, longest texts, lags in time, and an endpoint that begins stopped.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use testbed::emulator::{Lag, Quotas};
use tokio::time::timeout;

use crate::support::{Client, clip, entity, start, start_with};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_quota_is_403() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    west.switch(|switches| switches.quotas = Quotas { assets: 1, policies: 1, jobs: 0 })?;
    let client = Client::login(&emulator, "west").await?;
    let policy = json!({"Name": "p", "DurationInMinutes": 5});
    for (set, body, room) in [
        ("Assets", json!({"Name": "a"}), 1),
        ("AccessPolicies", policy, 1),
        ("AssetDeliveryPolicies", json!({"Name": "d"}), 1),
        ("ContentKeyAuthorizationPolicies", json!({"Name": "k"}), 1),
        ("Jobs", json!({"Name": "j"}), 0),
    ] {
        for _ in 0..room {
            client.create(set, body.clone()).await?;
        }
        let refused = client.post(set, body).await?;
        ensure!(refused.status == 403 && refused.error()?.contains("quota"), "{set}: {refused:?}");
    }
    west.switch(|switches| switches.disabled = true)?;
    ensure!(client.get("Assets").await?.status == 200);
    let asset = entity("Assets", &west.assets()[0].id);
    ensure!(client.send("DELETE", &asset, None).await?.status == 403, "a disabled account");
    Ok(())
}

#[tokio::test]
async fn pages_may_be_smaller() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    for name in ["a", "b", "c", "d", "e"] {
        client.create("AssetDeliveryPolicies", json!({"Name": name})).await?;
    }
    emulator.account("west").switch(|switches| {
        switches.page_size = 2;
        switches.next_link = true;
    })?;
    let (mut names, mut path) = (Vec::new(), Some("AssetDeliveryPolicies?$orderby=Name".to_owned()));
    while let Some(current) = path {
        let page = client.get(&current).await?.d()?;
        let results = page["results"].as_array().context("no set")?;
        ensure!(results.len() <= 2, "{page}");
        names.extend(results.iter().filter_map(|one| one["Name"].as_str().map(str::to_owned)));
        path = page["__next"].as_str().and_then(|next| next.strip_prefix(&client.root)).map(str::to_owned);
    }
    ensure!(names == ["a", "b", "c", "d", "e"], "{names:?}");
    let top = client.get("AssetDeliveryPolicies?$top=2").await?.d()?;
    ensure!(top.get("__next").is_none(), "nobody asked for more: {top}");
    Ok(())
}

#[tokio::test]
async fn texts_have_a_longest_length() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    for (name, longest) in [("Name", 512), ("AlternateId", 4000)] {
        let id = client.create("Assets", json!({name: "\u{fc}".repeat(longest)})).await?;
        let long = json!({name: "x".repeat(longest + 1)});
        let refused = client.post("Assets", long.clone()).await?;
        ensure!(refused.status == 400 && refused.error()?.contains(name), "{refused:?}");
        ensure!(client.send("MERGE", &entity("Assets", &id), Some(long)).await?.status == 400);
    }
    Ok(())
}

#[tokio::test]
async fn a_lag_may_be_counted_in_time() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = west.create_asset("a", 0).await?;
    west.upload(&asset, &clip()).await?;
    let publish = |milliseconds: u64| -> Result<(String, String)> {
        west.switch(|switches| {
            switches.locator_read_lag = Lag::milliseconds(milliseconds);
            switches.locator_stream_lag = Lag::milliseconds(milliseconds);
        })?;
        let locator = west.publish(&asset, None, None, Duration::from_secs(60))?;
        Ok((
            format!("{}{}", client.root, entity("Locators", &locator.id)),
            format!("{}clip.ism/manifest", locator.path),
        ))
    };
    let status = async |url: &str| -> Result<u16> {
        let request = client.http.get(url).bearer_auth(&client.token).header("x-ms-version", "2.19");
        Ok(request.send().await?.status().as_u16())
    };
    let (late, late_stream) = publish(3_600_000)?;
    ensure!([status(&late).await?, status(&late_stream).await?] == [404, 404]);
    let (soon, soon_stream) = publish(50)?;
    for url in [soon, soon_stream] {
        let seen = async {
            loop {
                match status(&url).await? {
                    200 => return anyhow::Ok(()),
                    404 => tokio::task::yield_now().await,
                    other => bail!("{other}"),
                }
            }
        };
        timeout(LIMIT, seen).await??;
    }
    Ok(())
}

#[tokio::test]
async fn the_default_endpoint_may_begin_stopped() -> Result<()> {
    let emulator = start_with(|config| config.accounts[0].switches.default_endpoint_stopped = true).await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = west.create_asset("a", 0).await?;
    west.upload(&asset, &clip()).await?;
    let manifest = format!("{}clip.ism/manifest", west.publish(&asset, None, None, Duration::from_secs(60))?.path);
    let endpoint = client.get("StreamingEndpoints").await?.d()?["results"][0].clone();
    ensure!(endpoint["State"] == "Stopped", "{endpoint}");
    ensure!(client.http.get(&manifest).send().await?.status() == 404);
    let path = entity("StreamingEndpoints", endpoint["Id"].as_str().context("no id")?);
    for (action, body, units) in
        [("Start", "", 0), ("Scale", r#"{"scaleUnits": "2"}"#, 2), ("Scale", r#"{"scaleUnits":1}"#, 1)]
    {
        let answer = client.send("POST", &format!("{path}/{action}"), serde_json::from_str(body).ok()).await?;
        ensure!(answer.status == 202 && answer.text.is_empty(), "{answer:?}");
        let operation = entity("Operations", answer.header("operation-id"));
        let states = [client.get(&operation).await?.d()?, client.get(&operation).await?.d()?];
        ensure!(states[0]["State"] == "InProgress" && states[1]["State"] == "Succeeded", "{states:?}");
        ensure!(states[1]["TargetEntityId"] == endpoint["Id"], "{states:?}");
        client.get(&path).await?;
        let now = client.get(&path).await?.d()?;
        ensure!(now["State"] == "Running" && now["ScaleUnits"] == units, "{now}");
    }
    ensure!(client.post(&format!("{path}/Scale"), json!({})).await?.status == 400);
    ensure!(client.http.get(&manifest).send().await?.status() == 200);
    Ok(())
}
