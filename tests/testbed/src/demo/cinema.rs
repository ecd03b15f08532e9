//! The world of the failover's story: two sites whose web servers serve films straight from blob storage.

use std::path::Path;

use anyhow::Result;

use super::ground::{Ground, SITES};
use super::screen::Screen;
use crate::amqp::Amqp;
use crate::playing::{Film, Site, SiteOptions};
use crate::process::ACCOUNTS;

/// Where the films lie at both sites.
pub(super) const CONTAINER: &str = "films";
/// The sites are addressed differently, as sites are; only what comes behind is alike.
const BASE_PATHS: [&str; 2] = ["/vod", ""];
/// Answered by both web servers, whatever happens to films.
const PROBE_PATH: &str = "/healthz";

/// Everything that the worker and the viewers meet. Dropping it ends it.
pub(super) struct Cinema {
    pub(super) west: Site,
    east: Site,
    ground: Ground,
}

impl Cinema {
    /// Starts all of it, each on a free port of the loopback interface.
    pub(super) async fn start(screen: &Screen) -> Result<Self> {
        let ground = Ground::start(screen).await?;
        let site = async |index: usize| {
            let base_path = BASE_PATHS[index].to_owned();
            let account = ACCOUNTS[index].0.to_owned();
            let storage = ground.storage_url().clone();
            let started = Site::start(SiteOptions { storage, account, base_path, host: None }).await?;
            let text = format!("web server (nginx) at {}/ serves the public containers of its account", started.url());
            screen.step(SITES[index], &text);
            anyhow::Ok(started)
        };
        let cinema = Self { west: site(0).await?, east: site(1).await?, ground };
        cinema.ground.write_settings(&cinema.settings_text()?)?;
        Ok(cinema)
    }

    /// Where the worker's settings file is, and nothing else.
    pub(super) fn folder(&self) -> &Path {
        self.ground.folder()
    }

    /// A connection to the broker, for everybody but the worker.
    pub(super) async fn amqp(&self) -> Result<Amqp> {
        self.ground.amqp().await
    }

    /// Puts a film into a folder of the west's public container.
    pub(super) async fn upload(&self, film: &Film, prefix: &str) -> Result<()> {
        let (account, key) = ACCOUNTS[0];
        let storage = self.ground.storage(account, key)?;
        storage.create_public_container(CONTAINER).await?;
        film.upload(&storage, CONTAINER, prefix).await
    }

    /// What differs from the defaults.
    fn settings_text(&self) -> Result<String> {
        let mut text = format!(
            "[rabbitmq]\nurl = '{}'\n[replication]\nprobe_path = '{PROBE_PATH}'\n[routes.west]\nreplicas = ['east']\n",
            self.ground.amqp_url()
        );
        for ((site, server), (account, key)) in SITES.into_iter().zip([&self.west, &self.east]).zip(ACCOUNTS) {
            let url = server.url();
            text +=
                &format!("[sites.{site}]\nkind = 'static-origin'\nregion = 'demo-{site}'\nstreaming_url = '{url}'\n");
            text += &self.ground.storage_settings(site, account, key)?;
        }
        Ok(text)
    }
}
