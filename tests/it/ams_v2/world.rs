//! Three accounts in two data centres, and clients for them.

use std::time::Duration;

use anyhow::{Context, Result};
use stream_replicator::http::HttpClient;
use stream_replicator::media_service::ams_v2::AmsV2;
use stream_replicator::model::{AssetMark, Cloud};
use stream_replicator::settings::{HttpSettings, MediaSettings, Resolve, Secret};
use testbed::emulator::{AccountConfig, AccountHandle, DoorKind, Emulator, EmulatorConfig};
use testbed::process::{ACCOUNTS, AZURITE_VARIABLE, Azurite};
use testbed::storage::Storage;
use tokio::sync::OnceCell;
use url::Url;

/// A key that is garbled unless every field of the form is percent-encoded.
pub const KEY: &str = "a+b/c&d=e%41 é==";
pub const WEST: &str = "westmedia";
/// Another account in the data centre of `WEST`.
pub const NEIGHBOUR: &str = "neighbourmedia";
pub const EAST: &str = "eastmedia";

pub const DAY: Duration = Duration::from_secs(86_400);

pub struct World {
    pub emulator: Emulator,
}

impl World {
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// The same, the emulator's configuration changed.
    pub async fn start_with(change: impl FnOnce(&mut EmulatorConfig)) -> Result<Self> {
        let azurite = azurite().await?;
        let storage = |at: usize| {
            let (name, key) = ACCOUNTS[at];
            Storage::new(azurite.join(&format!("/{name}"))?, name, key)
        };
        let accounts = vec![
            AccountConfig::new(WEST, KEY, "west", storage(0)?),
            AccountConfig::new(NEIGHBOUR, KEY, "west", storage(0)?),
            AccountConfig::new(EAST, KEY, "east", storage(1)?),
        ];
        let mut config = EmulatorConfig { accounts, ..EmulatorConfig::default() };
        change(&mut config);
        Ok(Self { emulator: Emulator::start(config).await? })
    }

    pub fn account(&self, name: &str) -> AccountHandle {
        self.emulator.account(name)
    }

    /// A client that has called nobody yet.
    pub fn client(&self, account: &str) -> Result<AmsV2> {
        self.client_with(account, |_| {})
    }

    /// A client that sends each call at most so many times.
    pub fn client_that_tries(&self, account: &str, tries: usize) -> Result<AmsV2> {
        self.new_client(account, tries, |_| {})
    }

    pub fn client_with(&self, account: &str, change: impl FnOnce(&mut MediaSettings)) -> Result<AmsV2> {
        self.new_client(account, 4, change)
    }

    fn new_client(&self, account: &str, tries: usize, change: impl FnOnce(&mut MediaSettings)) -> Result<AmsV2> {
        let http = HttpSettings {
            connect_timeout_seconds: 5,
            timeout_seconds: 30,
            storage_timeout_seconds: 30,
            max_response_bytes: 16 << 20,
            tries,
            ca_file: None,
            resolve: Resolve::default(),
        };
        let mut media = MediaSettings {
            account: account.to_owned(),
            key: Some(Secret::new(KEY)),
            token_url: Some(format!("{}/v2/OAuth2-13", self.emulator.acs_url()).parse()?),
            api_url: Some(format!("{}/API", self.emulator.front_door_url()).parse()?),
            allowed_hosts: vec!["127.0.0.1".to_owned()],
            ..MediaSettings::default()
        };
        change(&mut media);
        let site = account.parse().map_err(anyhow::Error::msg)?;
        Ok(AmsV2::new(&site, Cloud::Global, &media, HttpClient::new(&http)?, tries)?)
    }

    /// How many requests a door has had.
    pub fn requests_at(&self, door: DoorKind) -> usize {
        self.emulator.requests().at(door).count()
    }

    /// How many requests of this verb on this set the clusters have had.
    pub fn requests_on(&self, method: &str, set: &str, account: &str) -> usize {
        self.emulator.requests().count(method, set, account)
    }
}

pub fn mark(asset_id: &str) -> AssetMark {
    AssetMark {
        source: "west".parse().unwrap_or_else(|error: String| unreachable!("{error}")),
        asset_id: asset_id.into(),
    }
}

/// The blob store of `with-testbed`, or one of this process's own.
async fn azurite() -> Result<Url> {
    static OWN: OnceCell<Azurite> = OnceCell::const_new();
    match std::env::var(AZURITE_VARIABLE) {
        Ok(url) => url.parse().with_context(|| format!("{AZURITE_VARIABLE} is not a URL")),
        Err(_) => Ok(OWN.get_or_try_init(|| Azurite::start(&ACCOUNTS)).await?.endpoint().clone()),
    }
}
