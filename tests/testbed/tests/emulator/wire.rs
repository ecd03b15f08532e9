//! Requests byte for byte as old clients wrote them: headers, methods in headers, dates, XML links.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::{Client, VERBOSE, entity, fetch, raw, start};

/// A request to the client's cluster with its token; `head` is the request line and further headers.
async fn send(client: &Client, head: &str, body: &str) -> Result<String> {
    let length = body.len();
    let token = &client.token;
    let request = format!(
        "{head}\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    raw(&client.root, request.as_bytes()).await
}

#[tokio::test]
async fn whoever_asks_for_nothing_gets_verbose_json_and_atom_is_refused() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    for accept in ["", "\r\nAccept: */*", "\r\nAccept: text/html, */*; q=.2"] {
        let answer = send(&client, &format!("GET /api/Assets HTTP/1.1\r\nx-ms-version: 2.17{accept}"), "").await?;
        ensure!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(r#"{"d":{"results":[]}}"#),
            "{accept}: {answer}"
        );
    }
    // PHP and Java ask for Atom, azurerm for both of its kinds
    for accept in ["application/atom+xml", "application/atom+xml,application/xml", "application/xml"] {
        let head = format!("GET /api/Assets HTTP/1.1\r\nx-ms-version: 2.17\r\nAccept: {accept}");
        let answer = send(&client, &head, "").await?;
        ensure!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("JSON only, not Atom or XML"), "{answer}");
    }
    let entry = r#"<entry xmlns="http://www.w3.org/2005/Atom"/>"#;
    for content in ["application/atom+xml", "application/atom+xml;type=entry", "application/xml"] {
        let head = format!("POST /api/Assets HTTP/1.1\r\nx-ms-version: 2.17\r\nAccept: */*\r\nContent-Type: {content}");
        let answer = send(&client, &head, entry).await?;
        ensure!(answer.starts_with("HTTP/1.1 415 ") && answer.contains("reads JSON only, not Atom"), "{answer}");
    }
    ensure!(emulator.account("west").assets().is_empty(), "a refused entry creates nothing");
    let head = "GET /api/$metadata?api-version=2.7 HTTP/1.1\r\nAccept: application/xml";
    let metadata = send(&client, head, "").await?;
    ensure!(metadata.starts_with("HTTP/1.1 200 ") && metadata.contains("<edmx:Edmx"), "{metadata}");
    Ok(())
}

#[tokio::test]
async fn headers_of_old_clients() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    // the walkthrough and azurerm send a content type and a length on GET too; .NET sends ids to be echoed
    let head = "GET /API/Assets()/ HTTP/1.1\r\nx-ms-version: 2.1\r\nDataServiceVersion: 1.0;NetFx\r\n\
        MaxDataServiceVersion: 3.0;NetFx\r\nAccept: application/json; odata=verbose\r\nAccept-Charset: UTF-8\r\n\
        Content-Type: application/json; odata=verbose\r\nx-ms-client-request-id: aaaa\r\nclient-request-id: bbbb";
    let answer = send(&client, head, "").await?.to_ascii_lowercase();
    ensure!(answer.starts_with("http/1.1 200 "), "{answer}");
    for header in ["x-ms-client-request-id: aaaa", "client-request-id: bbbb", "cache-control: no-cache", "date: "] {
        ensure!(answer.contains(&format!("\r\n{header}")), "{header}: {answer}");
    }
    let id = |name: &str| answer.split("\r\n").find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    ensure!(id("request-id: ").is_some() && id("request-id: ") == id("x-ms-request-id: "), "{answer}");

    // .NET waits for 100 before it sends a body
    let body = r#"{"Name":"expected"}"#;
    let head = format!(
        "POST /api/Assets HTTP/1.1\r\nx-ms-version: 2.19\r\nAccept: {VERBOSE}\r\nContent-Type: {VERBOSE}\r\nExpect: 100-continue"
    );
    let answer = send(&client, &head, body).await?;
    ensure!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 "), "{answer}");

    // Java tunnels MERGE through POST, in any case
    let asset = emulator.account("west").assets().pop().context("no asset")?;
    let head = format!(
        "POST /api/{} HTTP/1.1\r\nx-ms-version: 2.0\r\nX-HTTP-METHOD: MERGE\r\nContent-Type: application/json;odata=verbose",
        entity("Assets", &asset.id)
    );
    ensure!(send(&client, &head, r#"{"Name":"merged"}"#).await?.starts_with("HTTP/1.1 204 "));
    ensure!(emulator.account("west").assets()[0].name == "merged");
    let get = head.replacen("POST", "GET", 1);
    ensure!(send(&client, &get, "").await?.starts_with("HTTP/1.1 200 "), "the header counts on POST only");
    Ok(())
}

#[tokio::test]
async fn dates_come_in_six_forms() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let policy = client.policy(60, 1).await?;
    for start in [
        "2016-03-17T20:05:00Z",
        "2016-03-17T20:05:00",
        "2016-03-17T22:05:00+02:00",
        "3/17/2016 8:05:00 PM",
        "2016/3/17 20:05:00",
        "/Date(1458245100000)/",
    ] {
        let body = json!({"AssetId": asset, "AccessPolicyId": policy, "Type": "2", "StartTime": start});
        let id = client.create("Locators", body).await?;
        let locator = west.locators(&asset).pop().context("no locator")?;
        ensure!(locator.start == Some(datetime!(2016-03-17 20:05 UTC)), "{start}: {locator:?}");
        ensure!(client.send("DELETE", &entity("Locators", &id), None).await?.status == 204);
    }
    // what .NET posts for "not set"
    let body = json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 2, "StartTime": "0001-01-01T00:00:00"});
    client.create("Locators", body.clone()).await?;
    ensure!(west.locators(&asset)[0].start.is_none());
    let mut wrong = body;
    wrong["StartTime"] = json!("17.03.2016 20:05:00");
    let refused = client.post("Locators", wrong).await?;
    ensure!(refused.status == 400 && refused.error()?.contains("StartTime"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn the_npm_clients_encode_whole_queries() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let client = Client::login(&emulator, "west").await?;
    let asset = west.create_asset("node test", 0).await?;
    let container = west.assets()[0].container.clone();
    west.storage()?.put(&container, "file name.mp4", "0123456789", Default::default()).await?;
    // azure-media 1.0.11, as its `request` library put it on the wire
    let headers = "Accept: application/json;odata=verbose\r\nDataServiceVersion: 3.0\r\nMaxDataServiceVersion: 3.0\r\n\
        x-ms-version: 2.2\r\nContent-Type: application/json;odata=verbose";
    let get = async |target: &str| send(&client, &format!("GET {target} HTTP/1.1\r\n{headers}"), "").await;
    let encoded = asset.replace(':', "%3A");
    let infos = get(&format!("/api//CreateFileInfos?assetid=%27{encoded}%27")).await?;
    ensure!(infos.starts_with("HTTP/1.1 204 "), "{infos}");
    let query = format!("%24filter=ParentAssetId%20eq%20%27{encoded}%27&%24orderby=Created%20desc&%24top=1");
    let files = get(&format!("/api/Files?{query}")).await?;
    ensure!(files.contains(r#""Name":"file name.mp4""#) && files.contains(r#""ContentFileSize":"10""#), "{files}");
    let named = get("/api/Assets?%24filter=Name%20eq%20%27node%20test%27").await?;
    ensure!(named.contains(&asset), "{named}");
    let processor = "%24top=1&%24filter=Name%20eq%20%27Windows%20Azure%20Media%20Encoder%27&%24orderby=Version%20desc";
    let processor = get(&format!("/api/MediaProcessors?{processor}")).await?;
    ensure!(processor.contains(r#""Name":"Windows Azure Media Encoder""#), "{processor}");
    // its date, zero-padded and on a twelve-hour clock
    let policy = client.policy(60, 1).await?;
    let body = json!({"StartTime": "03/17/2016 08:05:00 PM", "AccessPolicyId": policy, "AssetId": asset, "Type": 2});
    client.create("Locators", body).await?;
    ensure!(west.locators(&asset)[0].start == Some(datetime!(2016-03-17 20:05 UTC)));
    Ok(())
}

#[tokio::test]
async fn dot_net_sends_every_property_back() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let created = json!({
        "Id": null, "State": 0, "Created": "0001-01-01T00:00:00", "LastModified": "0001-01-01T00:00:00", "AlternateId": null,
        "Name": "a", "Options": 0, "FormatOption": 0, "Uri": null, "StorageAccountName": "west",
    });
    let path = entity("Assets", &client.create("Assets", created).await?);
    let mut asset = client.get(&path).await?.d()?;
    asset["Name"] = json!("b");
    let members = asset.as_object_mut().context("no asset")?;
    members.retain(|name, value| name != "__metadata" && value.get("__deferred").is_none());
    ensure!(client.send("MERGE", &path, Some(asset.clone())).await?.status == 204, "{asset}");
    asset["Created"] = json!("2001-01-01T00:00:00");
    ensure!(client.send("MERGE", &path, Some(asset.clone())).await?.status == 204, "an old copy");
    let now = client.get(&path).await?.d()?;
    ensure!(now["Name"] == "b" && now["Created"] != asset["Created"], "{now}");
    Ok(())
}

#[tokio::test]
async fn links_come_in_json_and_in_xml() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let links = format!("{}/$links/ContentKeys", entity("Assets", &asset));
    for at in 1..=2 {
        let key = format!("nb:kid:UUID:0b6d2f10-7a1e-4c55-9a3e-00000000000{at}");
        client.create("ContentKeys", json!({"Id": key, "ContentKeyType": "4"})).await?;
        let uri = format!("{}ContentKeys('{key}')", client.root);
        let request = client.request("POST", &links)?;
        let request = if at == 1 {
            request.header("Content-Type", VERBOSE).body(json!({"uri": uri}).to_string())
        } else {
            let xml = format!(r#"<uri xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices">{uri}</uri>"#);
            request.header("Content-Type", "application/xml").body(xml)
        };
        ensure!(fetch(request).await?.status == 204);
        let linked = client.get(&links).await?.d()?;
        ensure!(linked["results"].as_array().map(Vec::len) == Some(at), "{linked}");
    }
    let missing = json!({"uri": format!("{}ContentKeys('nb:kid:UUID:none')", client.root)});
    ensure!(client.post(&links, missing).await?.status == 404, "a link to a missing entity");
    ensure!(client.post(&links, Value::Null).await?.status == 400);
    Ok(())
}
