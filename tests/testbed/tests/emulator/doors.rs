//! The token door, the front door, and who may come in.

use anyhow::{Result, ensure};
use reqwest::Method;
use testbed::emulator::{DoorKind, Redirect};

use crate::support::{Client, fetch, http, start, token};

#[tokio::test]
async fn acs_gives_tokens_of_the_old_shape() -> Result<()> {
    let emulator = start().await?;
    let http = http()?;
    let answer = token(&http, &emulator, "west", "west+key/1=").await?;
    ensure!(answer.status == 200, "{answer:?}");
    let json = answer.json()?;
    ensure!(json["expires_in"] == "21600" && json["scope"] == "urn:WindowsAzureMediaServices", "{json}");
    let swt = json["access_token"].as_str().unwrap_or_default();
    ensure!(swt.contains("&ExpiresOn=") && swt.rsplit('&').next().is_some_and(|last| last.starts_with("HMACSHA256=")));

    let wrong = token(&http, &emulator, "west", "nonsense").await?;
    ensure!(wrong.status == 401 && wrong.json()?["error"] == "invalid_client", "{wrong:?}");
    let url = format!("{}/v2/OAuth2-13", emulator.acs_url());
    let no_grant = fetch(http.post(&url).body("client_id=west&scope=urn%3AWindowsAzureMediaServices")).await?;
    ensure!(no_grant.status == 400 && no_grant.json()?["error"] == "invalid_request", "{no_grant:?}");
    let no_scope = fetch(http.post(url).body("grant_type=client_credentials&client_id=west")).await?;
    ensure!(no_scope.status == 400 && no_scope.json()?["error"] == "invalid_scope", "{no_scope:?}");
    Ok(())
}

#[tokio::test]
async fn the_front_door_redirects_everything_to_the_accounts_root() -> Result<()> {
    let emulator = start().await?;
    for (account, data_centre) in [("west", "west-dc"), ("east", "east-dc")] {
        let client = Client::login(&emulator, account).await?;
        ensure!(client.root == emulator.cluster_url(data_centre) && client.root.ends_with("/api/"), "{}", client.root);
        for path in ["/api/Assets", "/API/", "/api//CreateFileInfos?assetid='x'"] {
            let url = format!("{}{path}", emulator.front_door_url());
            let answer = fetch(client.http.post(url).bearer_auth(&client.token).body("{}")).await?;
            ensure!(answer.status == 301 && answer.header("location") == client.root, "{path}: {answer:?}");
        }
        for method in ["MERGE", "PATCH", "PUT", "DELETE"] {
            let url = format!("{}/API/Files('nb:cid:UUID:1')", emulator.front_door_url());
            let request = client.http.request(Method::from_bytes(method.as_bytes())?, url).bearer_auth(&client.token);
            let answer = fetch(request).await?;
            ensure!(answer.status == 301 && answer.header("location") == client.root, "{method}: {answer:?}");
            ensure!(answer.header("content-type").starts_with("text/html"), "{answer:?}");
        }
    }
    let anonymous = fetch(http()?.get(format!("{}/api/", emulator.front_door_url()))).await?;
    ensure!(anonymous.status == 401, "{anonymous:?}");
    ensure!(emulator.requests().at(DoorKind::FrontDoor).filter(|request| request.status == 301).count() == 16);
    Ok(())
}

#[tokio::test]
async fn the_front_door_can_take_a_detour_and_loop() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let front_door = format!("{}/api/", emulator.front_door_url());
    let hop = |url: String| fetch(client.http.get(url).bearer_auth(&client.token));
    emulator.account("west").switch(|switches| switches.redirect = Redirect::ExtraHop)?;
    let first = hop(front_door.clone()).await?.header("location").to_owned();
    ensure!(first.starts_with(emulator.front_door_url()), "{first}");
    ensure!(hop(format!("{first}Assets")).await?.header("location") == client.root);
    emulator.account("west").switch(|switches| switches.redirect = Redirect::Loop)?;
    ensure!(hop(front_door.clone()).await?.header("location") == front_door);
    Ok(())
}

#[tokio::test]
async fn the_cluster_wants_a_token_its_own_account_and_a_version() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let url = format!("{}Assets", client.root);
    let request = || client.http.get(&url).header("Accept", "application/json").header("x-ms-version", "2.19");
    ensure!(fetch(request()).await?.status == 401);
    ensure!(fetch(request().bearer_auth(format!("{}x", client.token))).await?.status == 401);
    let east = Client::login(&emulator, "east").await?;
    ensure!(fetch(request().bearer_auth(&east.token)).await?.status == 403);

    let plain = || client.http.get(&url).bearer_auth(&client.token);
    let json = "application/json";
    ensure!(fetch(plain().header("Accept", json)).await?.status == 400, "a missing version");
    ensure!(fetch(plain().header("Accept", json).header("x-ms-version", "2.20")).await?.status == 400);
    ensure!(fetch(plain().header("Accept", json).header("x-ms-version", "2.0")).await?.status == 200);
    let atom = fetch(plain().header("x-ms-version", "2.19").header("Accept", "application/atom+xml")).await?;
    ensure!(atom.status == 415 && atom.error()?.contains("Atom"), "{atom:?}");

    emulator.account("west").switch(|switches| switches.token_lifetime_seconds = 0)?;
    let expired = Client::login(&emulator, "west").await;
    ensure!(expired.is_err(), "an expired token passes the front door");
    let expired = token(&client.http, &emulator, "west", "west+key/1=").await?.json()?;
    let expired = expired["access_token"].as_str().unwrap_or_default();
    ensure!(fetch(request().bearer_auth(expired)).await?.status == 401, "an expired token");
    ensure!(fetch(request().bearer_auth(&client.token)).await?.status == 200, "an older one with time left");
    Ok(())
}
