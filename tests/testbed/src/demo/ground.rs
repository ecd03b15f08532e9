//! What every story of the demo stands on: a private broker, blob storage with an account for each site, a folder.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;
use url::Url;

use super::screen::Screen;
use crate::amqp::Amqp;
use crate::process::{ACCOUNTS, Azurite, RabbitMq, RabbitOptions};
use crate::storage::Storage;

/// The worker's settings file.
pub(super) const SETTINGS: &str = "worker.toml";
/// The sites, in the order of their storage accounts ([`ACCOUNTS`]): the source, the replica.
pub(super) const SITES: [&str; 2] = ["west", "east"];

/// Broker, storage and folder. Dropping it ends and removes them.
pub(super) struct Ground {
    rabbitmq: RabbitMq,
    azurite: Azurite,
    folder: TempDir,
}

impl Ground {
    /// Starts both servers, each on a free port of the loopback interface.
    pub(super) async fn start(screen: &Screen) -> Result<Self> {
        let options = RabbitOptions { management: false, ..RabbitOptions::default() };
        let rabbitmq = async {
            let started = RabbitMq::start(options).await?;
            screen.step("broker", &format!("RabbitMQ at 127.0.0.1:{}", started.amqp_port()));
            anyhow::Ok(started)
        };
        let azurite = async {
            let started = Azurite::start(&ACCOUNTS).await?;
            screen.step("storage", &format!("Azurite at {} with an account for each site", started.endpoint()));
            anyhow::Ok(started)
        };
        let (rabbitmq, azurite) = tokio::try_join!(rabbitmq, azurite)?;
        let folder = tempfile::Builder::new().prefix("stream-replicator-demo-").tempdir()?;
        Ok(Self { rabbitmq, azurite, folder })
    }

    /// Where the worker's settings file is, and nothing else.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the worker's settings file.
    pub(super) fn write_settings(&self, text: &str) -> Result<()> {
        std::fs::write(self.folder().join(SETTINGS), text).context("cannot write the worker's settings")
    }

    /// A connection to the broker, for everybody but the worker.
    pub(super) async fn amqp(&self) -> Result<Amqp> {
        Amqp::connect(&self.amqp_url()).await
    }

    pub(super) fn amqp_url(&self) -> String {
        self.rabbitmq.amqp_url("/")
    }

    /// Where the storage of all accounts listens.
    pub(super) fn storage_url(&self) -> &Url {
        self.azurite.endpoint()
    }

    /// A client of one site's storage account.
    pub(super) fn storage(&self, account: &str, key: &str) -> Result<Storage> {
        Storage::new(self.storage_url().join(account)?, account, key)
    }

    /// The settings of a site's storage.
    pub(super) fn storage_settings(&self, site: &str, account: &str, key: &str) -> Result<String> {
        let blobs = self.storage_url().join(account)?;
        Ok(format!("[sites.{site}.storage]\naccount = '{account}'\nkey = '{key}'\nblob_url = '{blobs}'\n"))
    }
}
