//! The world of the three acts: media services of two data centres besides the ground, and the worker's settings.

use std::path::Path;

use anyhow::Result;
use uuid::Uuid;

use super::ground::{Ground, SITES};
use super::screen::Screen;
use crate::amqp::Amqp;
use crate::emulator::{AccountConfig, Emulator, EmulatorConfig, EncoderConfig, PreparedFile};
use crate::process::ACCOUNTS;

/// Tries of one call in the worker's process; as many faults make a whole attempt fail.
pub(super) const TRIES: u32 = 2;
/// What a message waits before its second attempt.
pub(super) const RETRY_SECONDS: u32 = 1;
/// The accounts of the media services at the two sites.
pub(super) const WEST: &str = "westmedia";
/// See [`WEST`].
pub(super) const EAST: &str = "eastmedia";

/// Everything that the worker meets. Dropping it ends it.
pub(super) struct World {
    pub(super) emulator: Emulator,
    pub(super) media: Vec<PreparedFile>,
    key: String,
    ground: Ground,
}

impl World {
    /// Starts all of it, each on a free port of the loopback interface.
    pub(super) async fn start(screen: &Screen) -> Result<Self> {
        let media = PreparedFile::load_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/media"))?;
        let ground = Ground::start(screen).await?;
        // made up for this run: the services are ours
        let key = format!("{}/+=", Uuid::new_v4().simple());
        let mut accounts = Vec::new();
        for (name, (storage, storage_key)) in [WEST, EAST].into_iter().zip(ACCOUNTS) {
            let storage = ground.storage(storage, storage_key)?;
            accounts.push(AccountConfig::new(name, &key, name, storage));
        }
        let encoder = EncoderConfig { files: media.clone(), ..EncoderConfig::default() };
        let emulator = Emulator::start(EmulatorConfig { accounts, encoder, ..EmulatorConfig::default() }).await?;
        screen.step("media", &format!("Media Services v2 (emulated) behind {}/API/", emulator.front_door_url()));
        let world = Self { emulator, media, key, ground };
        world.ground.write_settings(&world.settings_text()?)?;
        Ok(world)
    }

    /// Where the worker's settings file is, and nothing else.
    pub(super) fn folder(&self) -> &Path {
        self.ground.folder()
    }

    /// The key of both media service accounts.
    pub(super) fn media_key(&self) -> &str {
        &self.key
    }

    /// A connection to the broker, for everybody but the worker.
    pub(super) async fn amqp(&self) -> Result<Amqp> {
        self.ground.amqp().await
    }

    /// Ends all of it.
    pub(super) async fn end(self) {
        self.emulator.shutdown().await;
    }

    /// What differs from the defaults: the addresses, and shorter waits.
    fn settings_text(&self) -> Result<String> {
        let mut text = format!(
            "[rabbitmq]\nurl = '{}'\nretry_delays_seconds = [{RETRY_SECONDS}, 60]\n[http]\ntries = {TRIES}\n",
            self.ground.amqp_url()
        );
        for ((site, account), (storage, storage_key)) in SITES.into_iter().zip([WEST, EAST]).zip(ACCOUNTS) {
            text += &format!(
                "[sites.{site}]\nkind = 'ams-v2'\nregion = 'demo-{site}'\n\
                 [sites.{site}.media]\naccount = '{account}'\nkey = '{key}'\ntoken_url = '{acs}'\napi_url = '{api}/API/'\n\
                 allowed_hosts = ['127.0.0.1']\n",
                key = self.key,
                acs = self.emulator.acs_url(),
                api = self.emulator.front_door_url(),
            );
            text += &self.ground.storage_settings(site, storage, storage_key)?;
        }
        Ok(text + "[routes.west]\nreplicas = ['east']\n")
    }
}
