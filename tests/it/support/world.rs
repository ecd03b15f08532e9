//! The world of one story: a virtual host of its own, an emulator of its own, storage shared with others.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::amqp::{Amqp, Outgoing, Received, Subscription};
use testbed::emulator::{AccountConfig, AccountHandle, Emulator, EmulatorConfig, EncoderConfig, PreparedFile};
use testbed::process::{ACCOUNTS, Broker, Shared, Vhost, shared};
use testbed::storage::Storage;
use testbed::tcp_proxy::TcpProxy;
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use super::Worker;
use super::schemas::our_events;

/// The key of every media service account; a story greps for it.
pub const MEDIA_KEY: &str = "bWVkaWEga2V5IG9mIHRoZSB0ZXN0cywgZ3VhcmRzIG5vdGhpbmc+Lz0=";

/// Somebody else's media service account in the data centre of `east`, on the same storage.
pub const NEIGHBOUR: &str = "neighbour";

/// The waits of the retry queues, as the settings file has them at first.
const RETRY_DELAYS: &str = "retry_delays_seconds = [1, 2]";

/// The world around the worker: sites `west` and `east` (and `north`, when asked for).
pub struct World {
    pub emulator: Emulator,
    pub vhost: Vhost,
    pub amqp: Amqp,
    shared: Shared,
    folder: TempDir,
}

/// A source asset that is ready to be replicated.
#[derive(Debug, Clone)]
pub struct Published {
    /// Its id at the source.
    pub id: String,
    /// Its locator's GUID.
    pub locator: String,
}

impl World {
    /// Sites `west` and `east` in data centres of their own; west is replicated to east.
    pub async fn start() -> Result<Self> {
        Self::with_sites(&["west", "east"]).await
    }

    /// The first site is replicated to all others. `north` shares the storage account of `east`.
    pub async fn with_sites(sites: &[&str]) -> Result<Self> {
        let shared = shared().await?;
        let vhost = shared.vhost().await?;
        Self::with_vhost(shared, vhost, sites).await
    }

    /// Sites `west` and `east`, at a broker of the story's own.
    pub async fn at_broker(broker: &Broker) -> Result<Self> {
        Self::with_vhost(shared().await?, Vhost::create(broker).await?, &["west", "east"]).await
    }

    async fn with_vhost(shared: Shared, vhost: Vhost, sites: &[&str]) -> Result<Self> {
        let mut accounts = Vec::new();
        for site in sites {
            accounts.push(AccountConfig::new(&account(site), MEDIA_KEY, site, shared.storage(storage(site))?));
        }
        accounts.push(AccountConfig::new(&account(NEIGHBOUR), MEDIA_KEY, "east", shared.storage(storage("east"))?));
        let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/media");
        let encoder = EncoderConfig { files: PreparedFile::load_directory(&media)?, ..EncoderConfig::default() };
        let emulator = Emulator::start(EmulatorConfig { accounts, encoder, ..EmulatorConfig::default() }).await?;
        let amqp = Amqp::connect(&vhost.amqp_url()).await?;
        let world = Self { emulator, vhost, amqp, shared, folder: tempfile::tempdir()? };
        world.write_config(sites, "")?;
        Ok(world)
    }

    /// Writes the worker's settings; `more` is TOML that comes first, such as `[worker]` keys.
    pub fn write_config(&self, sites: &[&str], more: &str) -> Result<()> {
        self.write_config_with_blob_url(sites, more, self.shared.azurite())
    }

    /// The same, with storage reached through another address, such as a fault proxy's.
    pub fn write_config_with_blob_url(&self, sites: &[&str], more: &str, azurite: &Url) -> Result<()> {
        let mut text = format!("{more}\n[rabbitmq]\nurl = '{}'\n{RETRY_DELAYS}\n", self.vhost.amqp_url());
        for site in sites {
            let (storage_account, key) =
                ACCOUNTS.into_iter().find(|(name, _)| *name == storage(site)).context("no such storage account")?;
            write!(
                text,
                "[sites.{site}]\nkind = 'ams-v2'\nregion = 'test-{site}'\n\
                 [sites.{site}.media]\naccount = '{account}'\nkey = '{MEDIA_KEY}'\ntoken_url = '{acs}'\napi_url = '{api}'\n\
                 allowed_hosts = ['127.0.0.1']\n\
                 [sites.{site}.storage]\naccount = '{storage_account}'\nkey = '{key}'\nblob_url = '{blob_url}'\n",
                account = account(site),
                acs = self.emulator.acs_url(),
                api = self.emulator.front_door_url(),
                blob_url = azurite.join(&format!("/{storage_account}"))?,
            )?;
        }
        let replicas = sites[1..].iter().map(|site| format!("'{site}'")).collect::<Vec<_>>().join(", ");
        write!(text, "[routes.{}]\nreplicas = [{replicas}]\n", sites[0])?;
        std::fs::write(self.config(), text)?;
        Ok(())
    }

    /// Gives the settings file other waits of the retry queues, in seconds.
    pub fn set_retry_delays(&self, seconds: &[u64]) -> Result<()> {
        self.change_config(RETRY_DELAYS, &format!("retry_delays_seconds = {seconds:?}"))
    }

    /// Gives the settings file something else where it has `from`.
    pub fn change_config(&self, from: &str, to: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.config())?;
        ensure!(text.contains(from), "the settings have no '{from}': {text}");
        Ok(std::fs::write(self.config(), text.replace(from, to))?)
    }

    /// Lets the workers that start from now on reach the broker through a proxy, and lose it soon: heartbeats each second.
    pub fn reach_broker_through(&self, proxy: &TcpProxy) -> Result<()> {
        let port = self.vhost.broker().amqp_port();
        self.change_config(&format!("@127.0.0.1:{port}/"), &format!("@127.0.0.1:{}/", proxy.port()))?;
        self.change_config("[rabbitmq]", "[rabbitmq]\nheartbeat_seconds = 1\ntimeout_seconds = 5")
    }

    /// Where the shared storage listens, for a proxy in front of it.
    pub fn azurite(&self) -> &Url {
        self.shared.azurite()
    }

    /// The worker's settings file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("worker.toml")
    }

    /// A worker that consumes.
    pub async fn worker(&self) -> Result<Worker> {
        Worker::start(&self.config()).await
    }

    /// The media service account of a site.
    pub fn site(&self, site: &str) -> AccountHandle {
        self.emulator.account(&account(site))
    }

    /// The storage account of a site, as its owner.
    pub fn storage(&self, site: &str) -> Result<Storage> {
        self.shared.storage(storage(site))
    }

    /// An encoded asset at `west` with its files and a streaming locator.
    pub async fn encoded_asset(&self, name: &str) -> Result<Published> {
        let west = self.site("west");
        let id = west.create_asset(name, 0).await?;
        west.upload(&id, &media()?).await?;
        // Whole seconds: the service keeps no finer times than it writes on the wire.
        let start = OffsetDateTime::now_utc().truncate_to_second() - Duration::from_secs(600);
        let locator = west.publish(&id, None, Some(start), Duration::from_secs(20 * 86_400))?;
        Ok(Published { id, locator: locator.uuid })
    }

    /// Listens to our events; each is held against its schema.
    pub async fn events(&self) -> Result<Subscription> {
        our_events(&self.amqp).await
    }

    /// An encoded asset at `west` that nobody has published.
    pub async fn unpublished_asset(&self, name: &str) -> Result<String> {
        let west = self.site("west");
        let id = west.create_asset(name, 0).await?;
        west.upload(&id, &media()?).await?;
        Ok(id)
    }

    /// Sends "encoding finished" for an asset, as an encoder would.
    pub async fn send_finished(&self, asset_id: &str) -> Result<String> {
        let id = Uuid::new_v4().to_string();
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/encoders/test", "type": "media.encoding.finished.v1",
            "data": { "site": "west", "asset": { "id": asset_id }, "correlation": { "cmsId": "4711" } },
        });
        self.send(event.to_string(), Some(&id)).await?;
        Ok(id)
    }

    /// Sends a body as it is.
    pub async fn send(&self, body: impl Into<bytes::Bytes>, message_id: Option<&str>) -> Result<()> {
        let message = Outgoing { body: body.into(), message_id: message_id.map(Into::into), ..Outgoing::default() };
        self.amqp.publish("media.events", "media.encoding.finished.test", message).await
    }

    /// Waits for the next message in a queue and takes it out.
    pub async fn take(&self, queue: &str) -> Result<Received> {
        super::eventually(&format!("message in {queue}"), || self.amqp.take(queue)).await
    }
}

/// The test media as prepared files.
pub fn media() -> Result<Vec<PreparedFile>> {
    PreparedFile::load_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/media"))
}

/// Waits for the next event and reads it.
pub async fn next_event(events: &mut Subscription) -> Result<Value> {
    super::within("an event", events.next()).await?.json()
}

fn account(site: &str) -> String {
    format!("{site}media")
}

fn storage(site: &str) -> &'static str {
    if site == "west" { "west" } else { "east" }
}
