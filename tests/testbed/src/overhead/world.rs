//! What the measured worker meets, and the worker as a process.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::Plan;
use crate::emulator::{AccountConfig, Emulator, EmulatorConfig, EncoderConfig, PreparedFile};
use crate::process::{ACCOUNTS, Shared, Vhost, shared};

/// The key of the media service accounts; it guards nothing.
const MEDIA_KEY: &str = "bWVkaWEga2V5IG9mIHRoZSBiZW5jaG1hcmssIGd1YXJkcyBub3RoaW5n";
const SITES: [&str; 2] = ["west", "east"];
/// How long the worker may take to start and to end.
const LIMIT: Duration = Duration::from_secs(60);

/// A virtual host, storage and media services of two sites.
pub(super) struct World {
    emulator: Emulator,
    media: Vec<PreparedFile>,
    vhost: Vhost,
    shared: Shared,
    folder: TempDir,
    program: PathBuf,
    prefetch: u16,
}

impl World {
    pub(super) async fn start(plan: &Plan) -> Result<Self> {
        let shared = shared().await?;
        let vhost = shared.vhost().await?;
        let media = PreparedFile::load_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/media"))?;
        let mut accounts = Vec::new();
        for site in SITES {
            accounts.push(AccountConfig::new(&format!("{site}media"), MEDIA_KEY, site, shared.storage(site)?));
        }
        let encoder = EncoderConfig { files: media.clone(), ..EncoderConfig::default() };
        let emulator = Emulator::start(EmulatorConfig { accounts, encoder, ..EmulatorConfig::default() }).await?;
        let (program, prefetch) = (plan.worker.clone(), plan.prefetch);
        Ok(Self { emulator, media, vhost, shared, folder: tempfile::tempdir()?, program, prefetch })
    }

    pub(super) fn amqp_url(&self) -> String {
        self.vhost.amqp_url()
    }

    /// So many encoded and published assets at `west`.
    pub(super) async fn assets(&self, count: usize) -> Result<Vec<String>> {
        let west = self.emulator.account("westmedia");
        let mut assets = Vec::new();
        for number in 0..count {
            let id = west.create_asset(&format!("movie {number}"), 0).await?;
            west.upload(&id, &self.media).await?;
            west.publish(&id, None, None, Duration::from_secs(20 * 86_400))?;
            assets.push(id);
        }
        Ok(assets)
    }

    fn settings(&self, more: &str) -> Result<String> {
        let (prefetch, url) = (self.prefetch, self.vhost.amqp_url());
        let mut text = format!("[worker]\nconcurrency = {prefetch}\n{more}[rabbitmq]\nurl = '{url}'\n");
        for (site, (account, key)) in SITES.into_iter().zip(ACCOUNTS) {
            write!(
                text,
                "[sites.{site}]\nkind = 'ams-v2'\n[sites.{site}.media]\naccount = '{site}media'\nkey = '{MEDIA_KEY}'\n\
                 token_url = '{acs}'\napi_url = '{api}'\nallowed_hosts = ['127.0.0.1']\n\
                 [sites.{site}.storage]\naccount = '{account}'\nkey = '{key}'\nblob_url = '{blobs}'\n",
                acs = self.emulator.acs_url(),
                api = self.emulator.front_door_url(),
                blobs = self.shared.azurite().join(&format!("/{account}"))?,
            )?;
        }
        Ok(text + "[routes.west]\nreplicas = ['east']\n")
    }
}

/// A running worker; killed when dropped. It logs into a file, as under a service manager.
pub(super) struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Starts it with more keys of `[worker]`, and waits until it consumes.
    pub(super) async fn start(world: &World, more: &str) -> Result<Self> {
        let (config, log) = (world.folder.path().join("worker.toml"), world.folder.path().join("worker.log"));
        std::fs::write(&config, world.settings(more)?)?;
        let mut command = Command::new(&world.program);
        command.arg("--config").arg(&config).arg("run").env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(std::fs::File::create(&log)?).kill_on_drop(true).spawn();
        let worker = Self { child: child.context("cannot start the worker")?, log };
        let consumes = async {
            while !worker.log().contains("consuming") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, consumes).await.with_context(|| worker.log())?;
        Ok(worker)
    }

    /// Everything it has logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM; it must end well.
    pub(super) async fn end(mut self) -> Result<()> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())).context("the worker has ended")?;
        kill_process(pid, Signal::TERM)?;
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await.with_context(|| self.log())??;
        ensure!(status.success(), "the worker ended with {status}:\n{}", self.log());
        Ok(())
    }
}
