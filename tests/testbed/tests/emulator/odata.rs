//! Envelopes, dates, queries and verbs on the wire.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::emulator::{Edm, Set};

use crate::support::{Client, VERBOSE, entity, fetch, start};

#[tokio::test]
async fn three_flavours_of_json() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let empty = client.get("Assets").await?;
    ensure!(empty.text == r#"{"d":{"results":[]}}"#, "{}", empty.text);
    ensure!(empty.header("content-type") == "application/json;odata=verbose;charset=utf-8");

    let body = json!({"Name": "p", "DurationInMinutes": "440", "Permissions": "1"});
    let created = client.post("AccessPolicies", body.clone()).await?;
    ensure!(created.status == 201 && created.header("dataserviceversion") == "1.0;", "{created:?}");
    let d = created.d()?;
    ensure!(
        created.text.contains(r#""DurationInMinutes":440,"#) && created.text.contains(r#""Created":"\/Date("#),
        "{}",
        created.text
    );
    let url = format!("{}AccessPolicies('nb%3Apid%3AUUID%3A", client.root);
    ensure!(created.header("location").starts_with(&url) && d["__metadata"]["uri"] == created.header("location"));

    let client = client.light();
    let created = client.post("AccessPolicies", body).await?;
    let json = created.json()?;
    ensure!(json["odata.metadata"] == format!("{}$metadata#AccessPolicies/@Element", client.root), "{json}");
    let date = json["Created"].as_str().context("no date")?;
    ensure!(date.ends_with('Z') && date.len() == 28, "{date}");
    ensure!(created.text.contains(r#""DurationInMinutes":440.0,"#), "{}", created.text);
    let set = client.get("AccessPolicies()").await?.json()?;
    let date = set["value"][1]["Created"].as_str().context("no date")?;
    ensure!(!date.contains('Z') && date.len() <= 23 && set["odata.metadata"].is_string(), "{set}");

    let bare = client.request("GET", "AccessPolicies")?.header("Accept", "application/json;odata=nometadata");
    ensure!(fetch(bare).await?.status == 200);
    Ok(())
}

#[tokio::test]
async fn paths_of_every_old_client_lead_to_the_same_entity() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let id = emulator.account("west").create_asset("a", 0).await?;
    let encoded = entity("Assets", &id).replace('(', "%28").replace('\'', "%27").replace(')', "%29");
    let host = client.root.trim_end_matches("/api/").to_owned();
    for path in [
        format!("/api/Assets('{id}')"),
        format!("/API//{}", entity("Assets", &id)),
        format!("/API%2F{encoded}"),
        format!("/api/%2F{encoded}"),
    ] {
        let url = format!("{host}{path}");
        let request = client.http.get(&url).bearer_auth(&client.token).header("x-ms-version", "2.13");
        let answer = fetch(request.header("Accept", VERBOSE)).await?;
        ensure!(answer.status == 200 && answer.d()?["Id"] == id, "{path}: {answer:?}");
    }
    let filtered = client.get(&format!("Assets?$filter=Id eq '{id}'")).await?;
    ensure!(filtered.d()?["results"][0]["Id"] == id, "{filtered:?}");
    ensure!(client.get("Assets('nb:cid:UUID:none')").await?.status == 404);
    ensure!(client.get("Colours").await?.status == 404);
    Ok(())
}

#[tokio::test]
async fn queries() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    for name in ["b", "a", "c"] {
        let id = west.create_asset(name, 0).await?;
        west.set_asset(&id, |asset| {
            asset.set("AlternateId", format!("mark {name}"));
        })?;
    }
    let client = Client::login(&emulator, "west").await?.light();
    let names = async |query: &str| -> Result<Vec<String>> {
        let answer = client.get(&format!("Assets?{query}")).await?;
        let json = answer.json()?;
        let values = json["value"].as_array().with_context(|| answer.text.clone())?;
        Ok(values.iter().map(|value| value["Name"].as_str().unwrap_or_default().to_owned()).collect())
    };
    ensure!(names("$orderby=Name").await? == ["a", "b", "c"]);
    ensure!(names("$orderby=Name desc&$top=2").await? == ["c", "b"]);
    ensure!(names("$orderby=Name&$skip=1&$top=1").await? == ["b"]);
    ensure!(names("$filter=startswith(AlternateId,'mark') and Name ne 'a'&$orderby=Created").await? == ["b", "c"]);
    ensure!(names("$filter=substringof('k c',AlternateId)").await? == ["c"]);
    let selected = client.get("Assets?$select=Id,Name&$top=1").await?.json()?;
    ensure!(selected["value"][0].as_object().map(serde_json::Map::len) == Some(2), "{selected}");
    ensure!(client.get("Assets/$count").await?.text == "3");
    ensure!(client.get("Assets/$count?$filter=Name eq 'a'").await?.text == "1");
    let counted = client.get("Assets?$inlinecount=allpages&$top=1").await?.json()?;
    ensure!(counted["odata.count"] == "3", "{counted}");
    for query in ["$expand=Files", "$filter=Colour eq 1", "$orderby=Colour", "$top=x", "$filter=Name eq"] {
        let answer = client.get(&format!("Assets?{query}")).await?;
        ensure!(answer.status == 400 && answer.json()?["odata.error"].is_object(), "{query}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn pages_hold_at_most_a_thousand() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    for _ in 0..1001 {
        ensure!(
            client.post("NotificationEndPoints", json!({"EndPointAddress": "q", "EndPointType": 1})).await?.status
                == 201
        );
    }
    let page = client.get("NotificationEndPoints?$orderby=Id").await?.d()?;
    ensure!(page["results"].as_array().map(Vec::len) == Some(1000) && page.get("__next").is_none());
    let rest = client.get("NotificationEndPoints?$orderby=Id&$skip=1000").await?.d()?;
    ensure!(rest["results"].as_array().map(Vec::len) == Some(1));
    emulator.account("west").switch(|switches| switches.next_link = true)?;
    let page = client.get("NotificationEndPoints?$orderby=Id").await?.d()?;
    let next = page["__next"].as_str().context("no next link")?.to_owned();
    let path = next.strip_prefix(&client.root).context("another root")?;
    let rest_by_link = client.get(path).await?.d()?;
    ensure!(rest_by_link["results"][0]["Id"] == rest["results"][0]["Id"], "{rest_by_link}");
    Ok(())
}

#[tokio::test]
async fn verbs_and_their_refusals() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let unknown = client.post("Assets", json!({"Name": "a", "Colour": "red"})).await?;
    ensure!(unknown.status == 400 && unknown.error()?.contains("'Colour'"), "{unknown:?}");
    let id = client.create("Assets", json!({"Name": "a", "Options": "0", "AlternateId": "x"})).await?;
    let path = entity("Assets", &id);
    for (method, name) in [("MERGE", "b"), ("PATCH", "c"), ("PUT", "d")] {
        let answer = client.send(method, &path, Some(json!({"Name": name}))).await?;
        ensure!(answer.status == 204 && answer.text.is_empty(), "{method}: {answer:?}");
        ensure!(client.get(&path).await?.d()?["Name"] == name);
    }
    ensure!(client.get(&path).await?.d()?["AlternateId"] == Value::Null, "PUT replaces");
    let tunnelled = client.request("POST", &path)?.header("X-HTTP-METHOD", "merge").header("Content-Type", VERBOSE);
    ensure!(fetch(tunnelled.body(r#"{"Name":"e"}"#)).await?.status == 204);
    ensure!(emulator.account("west").assets()[0].name == "e");

    let once = client.send("MERGE", &path, Some(json!({"Options": 1}))).await?;
    ensure!(once.status == 400 && once.error()?.contains("Options"), "{once:?}");
    ensure!(
        client.send("MERGE", &path, Some(json!({"Options": 0}))).await?.status == 204,
        "an equal value may be repeated"
    );
    ensure!(client.get(&format!("{path}/Name")).await?.json()? == json!({"d": {"Name": "e"}}));

    ensure!(client.post("AccessPolicies", json!({"Name": "p"})).await?.status == 500, "no duration");
    let policy = client.policy(5, 1).await?;
    ensure!(client.send("MERGE", &entity("AccessPolicies", &policy), Some(json!({"Name": "q"}))).await?.status == 400);
    ensure!(client.send("DELETE", &entity("AccessPolicies", &policy), None).await?.status == 204);
    ensure!(client.send("DELETE", &entity("AccessPolicies", &policy), None).await?.status == 404);
    Ok(())
}

#[tokio::test]
async fn links_and_content_keys() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let key = "nb:kid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
    let body = json!({"Id": key, "ContentKeyType": 4, "EncryptedContentKey": "x"});
    client.create("ContentKeys", body.clone()).await?;
    ensure!(client.post("ContentKeys", body.clone()).await?.status == 409);
    ensure!(Client::login(&emulator, "west2").await?.post("ContentKeys", body.clone()).await?.status == 403);
    ensure!(Client::login(&emulator, "east").await?.post("ContentKeys", body).await?.status == 201);

    let links = format!("{}/$links/ContentKeys", entity("Assets", &asset));
    let uri = format!("{}{}", client.root, entity("ContentKeys", key));
    ensure!(client.post(&links, json!({"uri": uri})).await?.status == 204);
    let keys = client.get(&format!("{}/ContentKeys", entity("Assets", &asset))).await?.d()?;
    ensure!(keys["results"][0]["Id"] == key, "{keys}");
    ensure!(client.send("DELETE", &format!("{links}('{key}')"), None).await?.status == 204);
    ensure!(emulator.account("west").assets()[0].content_keys.is_empty());

    let policy = emulator.account("west").add_delivery_policy(&asset, 3)?;
    let policies = client.get(&format!("{}/DeliveryPolicies", entity("Assets", &asset))).await?.d()?;
    ensure!(policies["results"][0]["Id"] == policy && policies["results"][0]["AssetDeliveryPolicyType"] == 3);
    Ok(())
}

#[tokio::test]
async fn furniture_of_an_account() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let storage = client.get("StorageAccounts?$filter=IsDefault eq true").await?.d()?;
    ensure!(storage["results"][0]["Name"] == "west", "{storage}");
    let endpoints = client.get("StreamingEndpoints").await?;
    let endpoint = endpoints.d()?["results"][0].clone();
    ensure!(endpoints.header("dataserviceversion") == "3.0;" && !endpoint["Created"].to_string().contains("Date("));
    ensure!(endpoint["State"] == "Running" && endpoint["Name"] == "default", "{endpoint}");
    let host = emulator.streaming_url("west").trim_start_matches("http://");
    ensure!(endpoint["HostName"] == host);

    let path = entity("StreamingEndpoints", endpoint["Id"].as_str().unwrap_or_default());
    let stopped = client.post(&format!("{path}/Stop"), json!({})).await?;
    ensure!(stopped.status == 202, "{stopped:?}");
    let operation = entity("Operations", stopped.header("operation-id"));
    ensure!(client.get(&operation).await?.d()?["State"] == "InProgress");
    ensure!(client.get(&operation).await?.d()?["State"] == "Succeeded");
    ensure!(client.get(&path).await?.d()?["State"] == "Stopping");
    ensure!(client.get(&path).await?.d()?["State"] == "Stopped");
    let true_state = emulator.account("west").entities(Set::StreamingEndpoints)[0].value("State").clone();
    ensure!(true_state == Edm::from("Stopped"));

    let root = client.get("").await?.d()?;
    ensure!(root["EntitySets"].as_array().is_some_and(|sets| sets.contains(&json!("Assets"))), "{root}");
    let metadata = client.request("GET", "$metadata")?.header("Accept", "application/xml");
    ensure!(roxmltree::Document::parse(&fetch(metadata).await?.text).is_ok());
    Ok(())
}
