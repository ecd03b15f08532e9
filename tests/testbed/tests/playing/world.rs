//! Two sites with films, and what a playback must show.

use anyhow::Result;
use futures::future::try_join_all;
use reqwest::Url;
use serde_json::{Value, json};
use testbed::playing::{Film, Format, Site, SiteOptions};
use testbed::process::{ACCOUNTS, Azurite};
use testbed::storage::Storage;

pub const CONTAINER: &str = "films";
pub const WEST_BASE_PATH: &str = "/vod/v1.0";

/// Two sites that are addressed as differently as sites can be, and the films that both have.
pub struct World {
    pub west: Site,
    pub east: Site,
    pub films: Vec<(Format, Film)>,
    pub azurite: Azurite,
}

impl World {
    pub async fn with(formats: &[Format]) -> Result<Self> {
        let azurite = Azurite::start(&ACCOUNTS).await?;
        let films = try_join_all(
            formats.iter().map(|&format| async move { anyhow::Ok((format, Film::encode(format).await?)) }),
        );
        let films = films.await?;
        for (account, key) in ACCOUNTS {
            let storage = Storage::new(azurite.endpoint().join(account)?, account, key)?;
            storage.create_public_container(CONTAINER).await?;
            for (format, film) in &films {
                film.upload(&storage, CONTAINER, &format!("{format:?}/")).await?;
            }
        }
        let west = Site::start(options(azurite.endpoint(), "west", WEST_BASE_PATH)).await?;
        let east = Site::start(options(azurite.endpoint(), "east", "")).await?;
        Ok(Self { west, east, films, azurite })
    }

    /// The source as it is, once more.
    pub async fn another_west(&self) -> Result<Site> {
        Site::start(options(self.azurite.endpoint(), "west", WEST_BASE_PATH)).await
    }

    /// What the worker would announce, as far as a CDN reads it, with `west` as the source.
    pub fn event(&self, west: &Site) -> Value {
        let site = |name: &str, role: &str, priority: u8, port: u16, base_path: &str| {
            json!({
                "name": name, "role": role, "priority": priority, "scheme": "http", "host": "127.0.0.1", "port": port,
                "basePath": base_path, "hostHeader": format!("{name}.example"),
            })
        };
        json!({ "type": "media.asset.replicated.v1", "data": {
            "pathPrefix": format!("/{CONTAINER}/"),
            // the order means nothing
            "sites": [
                site("east", "replica", 2, self.east.port(), ""),
                site("west", "source", 1, west.port(), WEST_BASE_PATH),
            ],
            "probe": { "path": "/healthz", "method": "GET", "expectedStatus": 200, "intervalSeconds": 10 },
        } })
    }
}

pub fn options(storage: &Url, account: &str, base_path: &str) -> SiteOptions {
    SiteOptions {
        storage: storage.clone(),
        account: account.to_owned(),
        base_path: base_path.to_owned(),
        host: Some(format!("{account}.example")),
    }
}

/// Where a film is behind the address of a site or front.
pub fn entry(server: &str, (format, film): &(Format, Film)) -> Result<Url> {
    Ok(format!("{server}/{CONTAINER}/{format:?}/{}", film.entry()).parse()?)
}
