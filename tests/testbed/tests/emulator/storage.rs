//! Accounts with several storage accounts.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::emulator::Emulator;

use crate::support::{Client, clip, entity, start_with};

/// `west` with a second storage account, that of the other data centre's account.
async fn emulator() -> Result<Emulator> {
    start_with(|config| {
        let second = config.accounts[2].storage.clone();
        config.accounts[0].more_storage.push(second);
        config.encoder.files = clip();
    })
    .await
}

#[tokio::test]
async fn one_is_the_default_and_assets_may_name_another() -> Result<()> {
    let emulator = emulator().await?;
    let client = Client::login(&emulator, "west").await?;
    let all = client.get("StorageAccounts?$orderby=Name").await?.d()?;
    let all: Vec<_> =
        all["results"].as_array().context("no set")?.iter().map(|one| (&one["Name"], &one["IsDefault"])).collect();
    ensure!(json!(all) == json!([["east", false], ["west", true]]), "{all:?}");
    let by_name = client.get("StorageAccounts('east')").await?.d()?;
    ensure!(by_name["Name"] == "east", "{by_name}");

    let west = emulator.account("west");
    let default = client.post("Assets", json!({"Name": "a"})).await?.d()?;
    ensure!(default["StorageAccountName"] == "west", "{default}");
    let body = json!({"Name": "b", "StorageAccountName": "east"});
    let named = client.post("Assets", body).await?.d()?;
    let id = named["Id"].as_str().context("no id")?.to_owned();
    ensure!(named["Uri"].as_str().is_some_and(|uri| uri.contains("/east/asset-")), "{named}");
    let east = emulator.account("east").storage()?;
    let container = west.assets()[1].container.clone();
    ensure!(east.list(&container).await?.is_some() && west.storage()?.list(&container).await?.is_none());
    let of_asset = client.get(&format!("{}/StorageAccount", entity("Assets", &id))).await?.d()?;
    ensure!(of_asset["Name"] == "east" && of_asset["IsDefault"] == false, "{of_asset}");

    for file in clip() {
        east.put(&container, &file.name, file.bytes, Default::default()).await?;
    }
    ensure!(client.get(&format!("CreateFileInfos?assetid='{id}'")).await?.status == 204);
    ensure!(west.files(&id).len() == 3);
    let policy = client.policy(60, 1).await?;
    let locator = |kind: u8| json!({"AssetId": id, "AccessPolicyId": policy, "Type": kind});
    let sas = client.post("Locators", locator(1)).await?.d()?;
    let path = sas["Path"].as_str().context("no path")?.replacen('?', "/clip.ism?", 1);
    ensure!(client.http.get(&path).send().await?.status() == 200);
    let origin = client.post("Locators", locator(2)).await?.d()?;
    let manifest = format!("{}clip.ism/manifest", origin["Path"].as_str().context("no path")?);
    ensure!(client.http.get(&manifest).send().await?.status() == 200);
    west.roll_storage_key("east").await?;
    ensure!(client.http.get(&path).send().await?.status() == 403);
    ensure!(client.send("DELETE", &entity("Assets", &id), None).await?.status == 204);
    ensure!(east.list(&container).await?.is_none());

    let unknown = client.post("Assets", json!({"Name": "c", "StorageAccountName": "nowhere"})).await?;
    ensure!(unknown.status == 404, "{unknown:?}");
    Ok(())
}

#[tokio::test]
async fn a_task_may_put_its_output_there() -> Result<()> {
    let emulator = emulator().await?;
    let client = Client::login(&emulator, "west").await?;
    let mut notifications = emulator.notifications();
    let processor = client.get("MediaProcessors").await?.d()?["results"][0]["Id"].clone();
    let body = r#"<taskBody><outputAsset assetCreationOptions="0" storageAccountName="east">JobOutputAsset(0)</outputAsset></taskBody>"#;
    client.create("Jobs", json!({"Name": "j", "Tasks": [{"MediaProcessorId": processor, "TaskBody": body}]})).await?;
    while !notifications.recv().await?.contains("Finished") {}
    let west = emulator.account("west");
    let output = west.assets().pop().context("no output")?;
    ensure!(west.files(&output.id).len() == 3);
    let blobs = emulator.account("east").storage()?.list(&output.container).await?;
    ensure!(blobs.is_some_and(|blobs| blobs.len() == 3));
    Ok(())
}
