//! Faults as data, outages, and the log.

use anyhow::{Result, ensure};
use serde_json::json;
use testbed::emulator::{CreateFileInfos, DateStyle, DoorKind, FaultAction, FaultBody, FaultRule};

use crate::support::{Client, clip, entity, fetch, start, token};

#[tokio::test]
async fn answers_come_in_bursts() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let answer = FaultAction::Answer { status: 503, body: FaultBody::Html, retry_after_seconds: Some(7) };
    emulator.fault(FaultRule::new(answer).on("GET", "Assets").of_account("west").times(2));
    for expected in [503, 503, 200] {
        let answer = client.get("Assets").await?;
        ensure!(answer.status == expected, "{answer:?}");
        ensure!(
            expected == 200 || answer.header("retry-after") == "7" && answer.text.starts_with("<html>"),
            "{answer:?}"
        );
    }
    emulator.fault(FaultRule::status(500).path("Locators").skip(1));
    ensure!(client.get("Locators").await?.status == 200);
    let failed = client.get("Locators").await?;
    ensure!(failed.status == 500 && !failed.error()?.is_empty(), "{failed:?}");
    ensure!(emulator.requests().count("GET", "Assets", "west") == 3);
    emulator.fault(FaultRule::status(500).times(9));
    ensure!(emulator.clear_faults() == 1);
    Ok(())
}

#[tokio::test]
async fn a_write_may_happen_and_its_answer_be_lost() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    emulator.fault(FaultRule::status(500).on("POST", "Assets").after_commit());
    ensure!(client.post("Assets", json!({"Name": "a"})).await?.status == 500);
    emulator.fault(FaultRule::new(FaultAction::Drop).on("POST", "Assets").after_commit());
    ensure!(client.post("Assets", json!({"Name": "b"})).await.is_err());
    emulator.fault(FaultRule::new(FaultAction::Drop).on("POST", "Assets"));
    ensure!(client.post("Assets", json!({"Name": "c"})).await.is_err());
    let names: Vec<_> = emulator.account("west").assets().into_iter().map(|asset| asset.name).collect();
    ensure!(names == ["a", "b"], "{names:?}");
    let dropped: Vec<u16> = emulator.requests().at(DoorKind::Cluster).map(|request| request.status).collect();
    ensure!(dropped == [500, 0, 0], "{dropped:?}");
    Ok(())
}

/// How many entities a set holds.
async fn how_many(client: &Client, set: &str) -> Result<usize> {
    Ok(client.get(&format!("{set}/$count")).await?.text.parse()?)
}

#[tokio::test]
async fn every_post_may_commit_and_answer_500() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let policy = client.policy(60, 1).await?;
    let processor = client.get("MediaProcessors").await?.d()?["results"][0]["Id"].clone();
    let task = json!({"MediaProcessorId": processor, "TaskBody": "<taskBody/>"});
    let key = "nb:kid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
    for (set, body) in [
        ("Assets", json!({"Name": "b"})),
        ("AccessPolicies", json!({"Name": "p", "DurationInMinutes": 5})),
        ("Locators", json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 1})),
        ("Locators", json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 2})),
        ("Files", json!({"Name": "f", "ParentAssetId": asset})),
        ("Jobs", json!({"Name": "j", "Tasks": [task]})),
        ("ContentKeys", json!({"Id": key, "ContentKeyType": 4})),
        ("AssetDeliveryPolicies", json!({"Name": "d"})),
        ("AssetFilters", json!({"Name": "f", "ParentAssetId": asset})),
        ("NotificationEndPoints", json!({"EndPointAddress": "q", "EndPointType": 1})),
        ("StreamingEndpoints", json!({"Name": "second"})),
    ] {
        let before = how_many(&client, set).await?;
        let empty = FaultAction::Answer { status: 500, body: FaultBody::Empty, retry_after_seconds: None };
        emulator.fault(FaultRule::new(empty).on("POST", set).after_commit());
        let answer = client.post(set, body).await?;
        ensure!(answer.status == 500 && answer.text.is_empty(), "{set}: {answer:?}");
        ensure!(how_many(&client, set).await? == before + 1, "{set} was committed");
    }
    let links = format!("{}/$links/ContentKeys", entity("Assets", &asset));
    emulator.fault(FaultRule::status(500).path("$links").after_commit());
    let uri = json!({"uri": format!("{}ContentKeys('{key}')", client.root)});
    ensure!(client.post(&links, uri).await?.status == 500);
    ensure!(emulator.account("west").assets()[0].content_keys == [key], "the link was committed");
    Ok(())
}

#[tokio::test]
async fn a_token_may_be_revoked_and_a_door_may_fail() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    emulator.fault(FaultRule::new(FaultAction::RevokeToken));
    ensure!(client.get("Assets").await?.status == 401);
    ensure!(client.get("Assets").await?.status == 401, "the same token again");
    ensure!(Client::login(&emulator, "west").await?.get("Assets").await?.status == 200);
    emulator.fault(FaultRule::status(503).at(DoorKind::Acs));
    ensure!(token(&client.http, &emulator, "west", "west+key/1=").await?.status == 503);
    emulator.fault(FaultRule::status(503).at(DoorKind::Entra));
    let entra = format!("{}/contoso/oauth2/token", emulator.entra_url());
    ensure!(
        [fetch(client.http.post(&entra)).await?.status, fetch(client.http.post(&entra)).await?.status] == [503, 400]
    );
    emulator.fault(FaultRule::status(502).at(DoorKind::FrontDoor));
    let front_door = format!("{}/api/", emulator.front_door_url());
    ensure!(fetch(client.http.get(&front_door)).await?.status == 502);
    Ok(())
}

#[tokio::test]
async fn a_data_centre_goes_down_and_comes_back() -> Result<()> {
    let emulator = start().await?;
    let (west, east) = (Client::login(&emulator, "west").await?, Client::login(&emulator, "east").await?);
    ensure!(west.get("Assets").await?.status == 200);
    emulator.take_down("west-dc");
    ensure!(west.get("Assets").await.is_err(), "a kept connection still serves");
    ensure!(west.http.get(emulator.streaming_url("west")).send().await.is_err());
    ensure!(east.get("Assets").await?.status == 200, "the other data centre");
    emulator.bring_up("west-dc").await?;
    ensure!(west.get("Assets").await?.status == 200);
    emulator.make_unavailable("west-dc");
    ensure!(west.get("Assets").await?.status == 503);
    ensure!(west.http.get(emulator.streaming_url("west2")).send().await?.status() == 503);
    emulator.bring_up("west-dc").await?;
    ensure!(west.get("Assets").await?.status == 200);
    emulator.shutdown().await;
    ensure!(west.get("Assets").await.is_err());
    Ok(())
}

#[tokio::test]
async fn create_file_infos_has_moods() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = west.create_asset("a", 0).await?;
    let (storage, container) = (west.storage()?, west.assets()[0].container.clone());
    for file in clip() {
        storage.put(&container, &file.name, file.bytes, Default::default()).await?;
    }
    let call = format!("CreateFileInfos?assetid='{asset}'");
    west.switch(|switches| switches.create_file_infos = CreateFileInfos::Partial(2))?;
    ensure!(client.get(&call).await?.status == 204);
    ensure!(west.files(&asset).len() == 2);
    west.switch(|switches| switches.create_file_infos = CreateFileInfos::ConflictWhenFilesExist)?;
    ensure!(client.get(&call).await?.status == 409);
    west.switch(|switches| switches.create_file_infos = CreateFileInfos::Normal)?;
    ensure!(client.get(&call).await?.status == 204);
    ensure!(west.files(&asset).len() == 3);
    storage.delete_container(&container).await?;
    ensure!(client.get(&call).await?.status == 409, "the container is gone");
    west.switch(|switches| switches.dates = DateStyle::NeverZone)?;
    let client = Client::login(&emulator, "west").await?.light();
    let policy = client.post("AccessPolicies", json!({"Name": "p", "DurationInMinutes": 5})).await?.json()?;
    ensure!(!policy["Created"].to_string().contains('Z'), "{policy}");
    Ok(())
}
