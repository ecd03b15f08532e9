//! The emulator as a program: its addresses, its control door, its end.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testbed::process::{ACCOUNTS, shared};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{fetch, http};

#[tokio::test]
async fn serves_until_it_is_told_to_stop() -> Result<()> {
    let (name, key) = ACCOUNTS[0];
    let account = format!("west=west-dc,secret,{}{name},{name},{key}", shared().await?.azurite());
    let mut child = Command::new(env!("CARGO_BIN_EXE_media-services-emulator"))
        .args(["--account", &account, "--control-port", "0", "--print-json"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("nothing printed")?;
    let addresses: Value = serde_json::from_str(&line)?;
    let url =
        |pointer: &str| addresses.pointer(pointer).and_then(Value::as_str).context("no address").map(str::to_owned);

    let http = http()?;
    let form = "grant_type=client_credentials&client_id=west&client_secret=secret&scope=urn:WindowsAzureMediaServices";
    let token = fetch(http.post(url("/acs")?).body(form)).await?.json()?;
    let token = token["access_token"].as_str().context("no token")?;
    let assets = format!("{}Assets", url("/clusters/west-dc")?);
    let get = || {
        let request = http.get(&assets).bearer_auth(token).header("x-ms-version", "2.19");
        fetch(request.header("Accept", "application/json"))
    };
    ensure!(get().await?.status == 200);

    let control = url("/control")?;
    let fault = json!({"method": "GET", "entity_set": "Assets", "action": {"answer": {"status": 503, "body": "html"}}});
    ensure!(fetch(http.post(format!("{control}/faults")).json(&fault)).await?.status == 204);
    ensure!([get().await?.status, get().await?.status] == [503, 200]);
    let requests = fetch(http.get(format!("{control}/requests"))).await?.json()?;
    ensure!(requests.as_array().is_some_and(|requests| requests.len() == 4), "{requests}");
    let down = format!("{control}/down/west-dc");
    ensure!(fetch(http.put(&down).json(&json!("refused"))).await?.status == 204);
    ensure!(get().await.is_err());
    ensure!(fetch(http.delete(&down)).await?.status == 204);
    ensure!(get().await?.status == 200);
    let switches = fetch(http.put(format!("{control}/switches/nobody")).json(&json!({"next_link": true}))).await?;
    ensure!(switches.status == 404, "{switches:?}");

    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("no process")?;
    kill_process(pid, Signal::TERM)?;
    let status = tokio::time::timeout(Duration::from_secs(30), child.wait()).await??;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn reads_accounts_from_a_file() -> Result<()> {
    let azurite = shared().await?.azurite().to_string();
    let [(west, west_key), (east, east_key)] = ACCOUNTS;
    let config = json!({"accounts": [{
        "name": "west", "data_centre": "west-dc", "key": "secret",
        "storage_endpoint": format!("{azurite}{west}"), "storage_account": west, "storage_key": west_key,
        "more_storage": [{"endpoint": format!("{azurite}{east}"), "account": east, "key": east_key}],
        "entra": {"tenants": ["contoso"], "client_id": "app", "client_secret": "s"},
        "switches": {"default_endpoint_stopped": true, "page_size": 10},
    }]});
    let mut file = tempfile::NamedTempFile::new()?;
    std::io::Write::write_all(&mut file, config.to_string().as_bytes())?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_media-services-emulator"))
        .arg("--config")
        .arg(file.path())
        .args(["--control-port", "0", "--print-json"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("nothing printed")?;
    let addresses: Value = serde_json::from_str(&line)?;
    let url =
        |pointer: &str| addresses.pointer(pointer).and_then(Value::as_str).context("no address").map(str::to_owned);

    let http = http()?;
    let form = "grant_type=client_credentials&client_id=app&client_secret=s&resource=https://rest.media.azure.net";
    let token = fetch(http.post(format!("{}/contoso/oauth2/token", url("/entra")?)).body(form)).await?.json()?;
    let token = token["access_token"].as_str().context("no token")?;
    let get = |set: &str, root: String| {
        let request = http.get(format!("{root}{set}")).bearer_auth(token).header("x-ms-version", "2.19");
        fetch(request.header("Accept", "application/json"))
    };
    let names = get("StorageAccounts?$select=Name", url("/restv2/west")?).await?.json()?["value"].clone();
    ensure!(names == json!([{"Name": "west"}, {"Name": "east"}]), "{names}");
    let endpoints = get("StreamingEndpoints", url("/clusters/west-dc")?).await?.json()?;
    ensure!(endpoints["value"][0]["State"] == "Stopped", "{endpoints}");
    let control = url("/control")?;
    let rolled = |account: &str| http.post(format!("{control}/roll-storage-key/{account}/west"));
    ensure!(fetch(rolled("west")).await?.status == 204 && fetch(rolled("nobody")).await?.status == 404);
    Ok(())
}
