//! The walkthrough's way through the service: asset, copy, files, primary, locator, playback, clean-up.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::support::{Client, clip, entity, start};

#[tokio::test]
async fn an_asset_is_replicated_by_hand() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "east").await?;
    let created = client.post("Assets", json!({"Name": "Ünïcode", "Options": 0, "AlternateId": "mark"})).await?;
    let d = created.d()?;
    let (id, uri) = (d["Id"].as_str().context("no id")?, d["Uri"].as_str().context("no uri")?);
    let storage = emulator.account("east").storage()?;
    let container = uri.rsplit('/').next().context("no container")?;
    ensure!(uri == storage.blob_url(container, "", None).as_str().trim_end_matches('/'), "{uri}");
    for file in clip() {
        storage.put(container, &file.name, file.bytes, Default::default()).await?;
    }
    storage.put(container, "nested/fragment", "x", Default::default()).await?;

    for path in ["CreateFileInfos?assetid=", "/CreateFileInfos?assetid="] {
        let answer = client.get(&format!("{path}%27{}%27", id.replace(':', "%3A"))).await?;
        ensure!(answer.status == 204 && answer.text.is_empty(), "{answer:?}");
    }
    ensure!(client.get("CreateFileInfos").await?.status == 400);
    ensure!(client.get("CreateFileInfos?assetid='nb:cid:UUID:none'").await?.status == 404);
    let files = client.get(&format!("{}/Files?$orderby=Name", entity("Assets", id))).await?.d()?;
    let files = files["results"].as_array().context("no files")?;
    ensure!(files.len() == 3, "{files:?}");
    ensure!(files[1]["ContentFileSize"] == "100" && files[1]["MimeType"].is_null() && files[1]["IsPrimary"] == false);

    let query = format!("Files?$filter=ParentAssetId eq '{id}' and endswith(Name,'.ism')");
    let manifest = client.get(&query).await?.d()?["results"][0]["Id"].clone();
    let path = entity("Files", manifest.as_str().context("no manifest")?);
    ensure!(client.send("MERGE", &path, Some(json!({"IsPrimary": "true", "MimeType": "x/y"}))).await?.status == 204);
    let other = entity("Files", files[1]["Id"].as_str().context("no id")?);
    ensure!(client.send("MERGE", &other, Some(json!({"IsPrimary": true}))).await?.status == 409, "a second primary");
    let twice = json!({"Name": "clip.ism", "ParentAssetId": id});
    ensure!(client.post("Files", twice).await?.status == 409, "a second file of one name");

    let policy = client.policy(60, 1).await?;
    let body = json!({"AssetId": id, "AccessPolicyId": policy, "Type": 2, "Name": "published"});
    let locator = client.post("Locators", body).await?.d()?;
    let streaming = format!("{}clip.ism/manifest(format=m3u8-aapl)", locator["Path"].as_str().context("no path")?);
    ensure!(client.http.get(&streaming).send().await?.status() == 200);

    ensure!(client.send("DELETE", &entity("Assets", id), None).await?.status == 204);
    ensure!(storage.list(container).await?.is_none(), "the container goes too");
    ensure!(client.http.get(&streaming).send().await?.status() == 404);
    let found = client.get("Locators").await?.d()?;
    ensure!(found["results"].as_array().is_some_and(Vec::is_empty), "{found}");
    Ok(())
}
