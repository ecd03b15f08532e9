//! A world whose sites hold no storage key, and what SAS locators there are in it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use stream_replicator::media_service::ams_v2::{AmsV2, SasLocator, SasPurpose};
use stream_replicator::replication::AllSites;
use stream_replicator::settings;
use testbed::emulator::Locator;
use testbed::proxy::FaultProxy;

use crate::support::{World, eventually};

/// The kind of locator that is a shared access signature, on the wire.
const SAS: i64 = 1;
/// The names of ours.
pub const READ: &str = "stream-replicator/1 read";
pub const WRITE: &str = "stream-replicator/1 write";

/// Takes the storage keys of these sites out of the settings.
pub fn remove_keys(world: &World, sites: &[&str]) -> Result<()> {
    let mut text = std::fs::read_to_string(world.config())?;
    for site in sites {
        let table = text.find(&format!("[sites.{site}.storage]")).context("no such site")?;
        let key = table + text[table..].find("key = ").context("no key")?;
        let end = key + text[key..].find('\n').context("no end of line")?;
        text.replace_range(key..end, "access = 'sas-locators'");
    }
    Ok(std::fs::write(world.config(), text)?)
}

/// Sites `west` and `east` without keys; `more` is TOML such as `[worker]` keys.
pub async fn world_without_keys(more: &str) -> Result<World> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], more)?;
    remove_keys(&world, &["west", "east"])?;
    Ok(world)
}

/// The same with a proxy before storage.
pub async fn world_behind_proxy(more: &str) -> Result<(World, FaultProxy)> {
    world_of_sites_behind_proxy(&["west", "east"], more).await
}

/// The same with these sites, the first being the source.
pub async fn world_of_sites_behind_proxy(sites: &[&str], more: &str) -> Result<(World, FaultProxy)> {
    let world = World::with_sites(sites).await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("azurite has no address")?).await?;
    world.write_config_with_blob_url(sites, more, proxy.url())?;
    remove_keys(&world, sites)?;
    Ok((world, proxy))
}

/// The SAS locators of all assets of a site.
pub fn signatures(world: &World, site: &str) -> Vec<Locator> {
    let account = world.site(site);
    let locators = account.assets().into_iter().flat_map(|asset| account.locators(&asset.id));
    locators.filter(|locator| locator.kind == SAS).collect()
}

/// The names of the SAS locators of these sites.
pub fn names(world: &World, sites: &[&str]) -> Vec<String> {
    let all = sites.iter().flat_map(|site| signatures(world, site));
    all.map(|locator| locator.name.unwrap_or_default()).collect()
}

/// Checks that no SAS locator is left at either site, and that a lonely worker has made no access policy twice.
pub fn ensure_none_left(world: &World) -> Result<()> {
    let left = names(world, &["west", "east"]);
    ensure!(left.is_empty(), "SAS locators are left: {left:?}");
    for site in ["west", "east"] {
        let mut seen = BTreeSet::new();
        for policy in world.site(site).access_policies() {
            let is_ours = policy.name.starts_with("stream-replicator ");
            ensure!(!is_ours || seen.insert(policy.name.clone()), "made twice at {site}: {policy:?}");
        }
    }
    Ok(())
}

/// Waits until none is left: what a stopped job gives back comes a little later.
pub async fn none_left(world: &World) -> Result<()> {
    let left = || names(world, &["west", "east"]);
    let none = eventually("no SAS locator left", || async { Ok(left().is_empty().then_some(())) }).await;
    none.with_context(|| format!("{:?}", left()))
}

/// The media service of a site as another worker with the same settings sees it.
pub fn client(world: &World, site: &str) -> Result<AmsV2> {
    let settings = settings::load(Some(&world.config()), std::collections::HashMap::new())?;
    let sites = AllSites::connect(&settings)?;
    Ok(sites.site(&site.parse().map_err(anyhow::Error::msg)?)?.media()?.clone())
}

/// Makes a SAS locator as another worker would.
pub async fn plant(world: &World, site: &str, asset_id: &str, purpose: SasPurpose) -> Result<SasLocator> {
    Ok(client(world, site)?.ensure_sas_locator(asset_id, purpose).await?)
}

/// How many locators of any kind the workers have asked a site to make so far.
pub fn made(world: &World, site: &str) -> usize {
    world.emulator.requests().count("POST", "Locators", &format!("{site}media"))
}
