//! Locator rules: ids, limits, expiry, SAS in real storage.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::emulator::Lag;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::support::{Client, clip, entity, start};

const ID: &str = "nb:lid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";

#[tokio::test]
async fn ids_are_unique_in_a_data_centre() -> Result<()> {
    let emulator = start().await?;
    for (account, expected) in [("west", 201), ("west", 409), ("west2", 403), ("east", 201)] {
        let client = Client::login(&emulator, account).await?;
        let asset = client.create("Assets", json!({"Name": "a"})).await?;
        let policy = client.policy(60, 1).await?;
        let body = json!({"Id": ID.to_uppercase().replace("NB:LID", "nb:lid"), "AssetId": asset, "AccessPolicyId": policy, "Type": 2});
        let answer = client.post("Locators", body).await?;
        ensure!(answer.status == expected, "{account}: {answer:?}");
        if expected == 201 {
            let d = answer.d()?;
            let uuid = ID.trim_start_matches("nb:lid:UUID:");
            ensure!(d["Id"] == ID && d["ContentAccessComponent"] == uuid, "{d}");
            ensure!(d["Path"] == format!("{}/{uuid}/", emulator.streaming_url(account)), "{d}");
            ensure!(d["BaseUri"] == emulator.streaming_url(account), "{d}");
            ensure!(d["Asset"]["__deferred"].is_object() && d["AccessPolicy"]["__deferred"].is_object(), "{d}");
        }
    }
    let client = Client::login(&emulator, "west").await?;
    ensure!(client.send("DELETE", &entity("Locators", ID), None).await?.status == 204);
    let west = emulator.account("west");
    let asset = west.create_asset("again", 0).await?;
    let uuid = uuid::Uuid::parse_str(ID.trim_start_matches("nb:lid:UUID:"))?;
    west.publish(&asset, Some(uuid), None, std::time::Duration::from_secs(60))?;
    Ok(())
}

#[tokio::test]
async fn refusals() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let (read, write) = (client.policy(60, 1).await?, client.policy(60, 3).await?);
    let body = |kind: u8, policy: &str| json!({"AssetId": asset, "AccessPolicyId": policy, "Type": kind});
    ensure!(client.post("Locators", body(0, &read)).await?.status == 400, "type 0");
    ensure!(client.post("Locators", body(2, &write)).await?.status == 400, "an origin locator that may write");
    ensure!(client.post("Locators", body(2, "nb:pid:UUID:none")).await?.status == 404, "a missing policy");
    for id in ["0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21", "nb:lid:UUID:1"] {
        let mut with_id = body(2, &read);
        with_id["Id"] = json!(id);
        ensure!(client.post("Locators", with_id).await?.status == 400, "{id}");
    }
    for _ in 0..5 {
        client.create("Locators", body(2, &read)).await?;
    }
    ensure!(client.post("Locators", body(2, &read)).await?.status == 409, "a sixth locator");
    ensure!(client.send("DELETE", &entity("AccessPolicies", &read), None).await?.status == 409, "a policy in use");
    emulator.account("west").switch(|switches| switches.locator_needs_files = true)?;
    let empty = client.create("Assets", json!({"Name": "empty"})).await?;
    let body = json!({"AssetId": empty, "AccessPolicyId": read, "Type": 2});
    ensure!(client.post("Locators", body).await?.status == 400, "an asset without files");
    let upload = |policy: &str| json!({"AssetId": empty, "AccessPolicyId": policy, "Type": 1});
    ensure!(client.post("Locators", upload(&write)).await?.status == 400, "one that may read too");
    let write_only = client.policy(60, 2 | 8).await?;
    ensure!(client.post("Locators", upload(&write_only)).await?.status == 201, "how else would it get files");

    emulator.account("west").switch(|switches| {
        switches.locator_needs_files = false;
        switches.bare_locator_ids = true;
    })?;
    let bare =
        json!({"Id": ID.trim_start_matches("nb:lid:UUID:"), "AssetId": empty, "AccessPolicyId": read, "Type": 2});
    ensure!(client.post("Locators", bare).await?.d()?["Id"] == ID, "a bare GUID, where a switch takes it");

    let lost = client.create("Assets", json!({"Name": "lost"})).await?;
    let west = emulator.account("west");
    let container = west.assets().pop().context("no asset")?.container;
    west.storage()?.delete_container(&container).await?;
    let sas = client.post("Locators", json!({"AssetId": lost, "AccessPolicyId": read, "Type": 1})).await?;
    ensure!(sas.status == 409 && west.locators(&lost).is_empty(), "the container is missing: {sas:?}");
    Ok(())
}

#[tokio::test]
async fn asset_and_policy_may_be_given_as_links() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let policy = client.policy(60, 1).await?;
    let uri = |set: &str, id: &str| format!("{}{}", client.root, entity(set, id));
    let (asset_uri, policy_uri) = (uri("Assets", &asset), uri("AccessPolicies", &policy));
    // as .NET links them, in the verbose flavour and in the light one
    let verbose = json!({
        "Id": null, "AssetId": null, "AccessPolicyId": null, "Type": 2, "StartTime": null,
        "Asset": {"__metadata": {"uri": asset_uri}}, "AccessPolicy": {"__metadata": {"uri": policy_uri}},
    });
    let light = json!({"Type": 2, "Asset@odata.bind": asset_uri, "AccessPolicy@odata.bind": policy_uri});
    let first = client.post("Locators", verbose.clone()).await?.d()?;
    let missing =
        json!({"Type": 2, "AccessPolicyId": policy, "Asset": {"__metadata": {"uri": uri("Assets", "nb:cid:UUID:1")}}});
    ensure!(client.post("Locators", missing).await?.status == 404, "a link to a missing asset");
    let client = client.light();
    let second = client.post("Locators", light).await?.json()?;
    for locator in [first, second] {
        ensure!(locator["AssetId"] == asset && locator["AccessPolicyId"] == policy, "{locator}");
    }
    Ok(())
}

#[tokio::test]
async fn expiry_follows_start_and_can_be_merged() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let policy = client.policy(60, 1).await?;
    for start in ["2016-03-17T08:05:00Z", "3/17/2016 8:05:00 AM", "2016/3/17 8:05:00"] {
        let body = json!({"AssetId": asset, "AccessPolicyId": policy, "Type": "2", "StartTime": start, "ExpirationDateTime": "0001-01-01T00:00:00"});
        let id = client.create("Locators", body).await?;
        let locator = west.locators(&asset).pop().context("no locator")?;
        ensure!(locator.expires == Some(datetime!(2016-03-17 09:05 UTC)), "{start}: {locator:?}");
        ensure!(client.send("DELETE", &entity("Locators", &id), None).await?.status == 204);
    }
    let id = client.create("Locators", json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 2})).await?;
    let merge = json!({"ExpirationDateTime": "2030-01-01T00:00:00Z"});
    ensure!(client.send("MERGE", &entity("Locators", &id), Some(merge.clone())).await?.status == 204);
    ensure!(west.locators(&asset)[0].expires == Some(datetime!(2030-01-01 00:00 UTC)));
    ensure!(client.send("MERGE", &entity("Locators", &id), Some(json!({"AssetId": "x"}))).await?.status == 400);
    let sas = client.create("Locators", json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 1})).await?;
    ensure!(client.send("MERGE", &entity("Locators", &sas), Some(merge)).await?.status == 400);
    Ok(())
}

#[tokio::test]
async fn sas_locators_open_the_real_container_until_deleted() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = west.create_asset("a", 0).await?;
    west.upload(&asset, &clip()).await?;
    let policy = client.policy(60, 9).await?;
    let start = OffsetDateTime::now_utc() - time::Duration::minutes(5);
    let start = start.format(&time::format_description::well_known::Rfc3339)?;
    let body = json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 1, "StartTime": start});
    let d = client.post("Locators", body.clone()).await?.d()?;
    let second = client.create("Locators", body).await?;
    let (base, access) =
        (d["BaseUri"].as_str().context("no base")?, d["ContentAccessComponent"].as_str().context("no query")?);
    ensure!(d["Path"] == format!("{base}{access}") && access.starts_with('?') && !access.contains("&sp="), "{d}");
    let blob = format!("{base}/clip.ism{access}");
    ensure!(client.http.get(&blob).send().await?.status() == 200);
    let list = format!("{base}{access}&restype=container&comp=list");
    ensure!(client.http.get(&list).send().await?.status() == 200);
    ensure!(client.send("DELETE", &entity("Locators", &second), None).await?.status == 204);
    ensure!(client.http.get(&blob).send().await?.status() == 200, "another locator's end is not ours");
    let id = d["Id"].as_str().context("no id")?;
    ensure!(client.send("DELETE", &entity("Locators", id), None).await?.status == 204);
    ensure!(client.http.get(&blob).send().await?.status() == 403, "a deleted SAS locator still opens");
    Ok(())
}

#[tokio::test]
async fn a_new_locator_may_be_invisible_for_a_while() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    west.switch(|switches| switches.locator_read_lag = Lag::requests(2))?;
    let client = Client::login(&emulator, "west").await?;
    let asset = west.create_asset("a", 0).await?;
    let locator = west.publish(&asset, None, None, std::time::Duration::from_secs(60))?;
    let path = entity("Locators", &locator.id);
    ensure!(client.get(&path).await?.status == 404);
    let listed = client.get(&format!("{}/Locators", entity("Assets", &asset))).await?.d()?;
    ensure!(listed["results"].as_array().is_some_and(Vec::is_empty), "{listed}");
    ensure!(client.get(&path).await?.status == 200);
    Ok(())
}
