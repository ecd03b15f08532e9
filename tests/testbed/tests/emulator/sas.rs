//! SAS locators as storage sees them: late at first, dead after a key roll, gone with their asset.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use testbed::emulator::{AccountHandle, Emulator};
use tokio::time::timeout;

use crate::support::{Client, clip, entity, start};

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// An hour, so that nothing takes effect by itself.
const LONG_MILLISECONDS: u64 = 3_600_000;

/// An asset with files and a read policy.
async fn furnished(emulator: &Emulator) -> Result<(AccountHandle, Client, String, String)> {
    let west = emulator.account("west");
    let client = Client::login(emulator, "west").await?;
    let asset = west.create_asset("a", 0).await?;
    west.upload(&asset, &clip()).await?;
    let policy = client.policy(60, 9).await?;
    Ok((west, client, asset, policy))
}

async fn sas(client: &Client, asset: &str, policy: &str) -> Result<Value> {
    client.post("Locators", json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 1})).await?.d()
}

/// What storage says to the file URL of a SAS locator.
async fn status(client: &Client, locator: &Value) -> Result<u16> {
    let (base, access) = (locator["BaseUri"].as_str(), locator["ContentAccessComponent"].as_str());
    let url = format!("{}/clip.ism{}", base.context("no base")?, access.context("no query")?);
    Ok(client.http.get(url).send().await?.status().as_u16())
}

#[tokio::test]
async fn the_url_names_its_policy_and_its_times_but_no_permissions() -> Result<()> {
    let emulator = start().await?;
    let (_, client, asset, policy) = furnished(&emulator).await?;
    let query = |locator: &Value| -> Result<Vec<(String, String)>> {
        let url = url::Url::parse(locator["Path"].as_str().context("no path")?)?;
        Ok(url.query_pairs().into_owned().collect())
    };
    let locator = sas(&client, &asset, &policy).await?;
    let id = locator["Id"].as_str().context("no id")?.trim_start_matches("nb:lid:UUID:").to_owned();
    let pairs = query(&locator)?;
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    ensure!(value("si") == Some(&id) && value("sr") == Some("c") && value("sig").is_some(), "{pairs:?}");
    ensure!(value("se").is_some() && value("st").is_none() && value("sp").is_none(), "{pairs:?}");
    let body = json!({"AssetId": asset, "AccessPolicyId": policy, "Type": 1, "StartTime": "2020-01-01T00:00:00Z"});
    let expired = client.post("Locators", body).await?.d()?;
    ensure!(query(&expired)?.contains(&("st".to_owned(), "2020-01-01T00:00:00Z".to_owned())), "{expired}");
    ensure!(status(&client, &locator).await? == 200 && status(&client, &expired).await? == 403);
    Ok(())
}

#[tokio::test]
async fn storage_refuses_a_new_locator_until_it_has_heard_of_it() -> Result<()> {
    let emulator = start().await?;
    let (west, client, asset, policy) = furnished(&emulator).await?;
    let prompt = sas(&client, &asset, &policy).await?;
    west.switch(|switches| switches.sas_lag_milliseconds = LONG_MILLISECONDS)?;
    let late = sas(&client, &asset, &policy).await?;
    ensure!([status(&client, &prompt).await?, status(&client, &late).await?] == [200, 403]);
    // what becomes of another locator meanwhile does not hurry it
    west.switch(|switches| switches.sas_lag_milliseconds = 0)?;
    let other = sas(&client, &asset, &policy).await?;
    ensure!([status(&client, &other).await?, status(&client, &late).await?] == [200, 403]);
    west.settle_sas_locators().await?;
    ensure!(status(&client, &late).await? == 200);

    west.switch(|switches| switches.sas_lag_milliseconds = 50)?;
    let soon = sas(&client, &asset, &policy).await?;
    let opened = async {
        loop {
            match status(&client, &soon).await? {
                200 => return anyhow::Ok(()),
                403 => tokio::task::yield_now().await,
                other => bail!("storage answers {other}"),
            }
        }
    };
    timeout(LIMIT, opened).await??;
    Ok(())
}

#[tokio::test]
async fn a_rolled_storage_key_kills_the_locators_that_were_there() -> Result<()> {
    let emulator = start().await?;
    let (west, client, asset, policy) = furnished(&emulator).await?;
    let before = sas(&client, &asset, &policy).await?;
    west.roll_storage_key("another").await?;
    ensure!(status(&client, &before).await? == 200, "that was another storage account's key");
    west.roll_storage_key("west").await?;
    ensure!(status(&client, &before).await? == 403);
    let after = sas(&client, &asset, &policy).await?;
    ensure!([status(&client, &before).await?, status(&client, &after).await?] == [403, 200]);
    Ok(())
}

#[tokio::test]
async fn deleting_an_asset_takes_what_hangs_on_it_and_may_keep_the_container() -> Result<()> {
    let emulator = start().await?;
    let (west, client, asset, policy) = furnished(&emulator).await?;
    let locator = sas(&client, &asset, &policy).await?;
    let key = west.add_content_key(&asset)?;
    let container = west.assets()[0].container.clone();
    let path = format!("{}?keepcontainer=true", entity("Assets", &asset));
    ensure!(client.send("DELETE", &path, None).await?.status == 204);
    ensure!(west.storage()?.list(&container).await?.is_some_and(|blobs| blobs.len() == 3), "the container stays");
    ensure!(status(&client, &locator).await? == 403, "and its locators do not");
    for path in [entity("ContentKeys", &key), entity("Locators", locator["Id"].as_str().unwrap_or_default())] {
        ensure!(client.get(&path).await?.status == 404, "{path}");
    }
    ensure!(client.get("Files/$count").await?.text == "0");
    ensure!(client.get(&entity("AccessPolicies", &policy)).await?.status == 200, "policies stay");

    let (west, client, asset, _) = furnished(&emulator).await?;
    let container = west.assets()[0].container.clone();
    // what .NET sends for the default
    let path = format!("{}?keepcontainer=false", entity("Assets", &asset));
    ensure!(client.send("DELETE", &path, None).await?.status == 204);
    ensure!(west.storage()?.list(&container).await?.is_none());
    Ok(())
}
