//! Streams made of text, as a packager would lay them out, and two sites that serve their containers.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::amqp::{Amqp, Outgoing, Subscription};
use testbed::process::{ACCOUNTS, Shared, Vhost, shared};
use testbed::storage::{PutOptions, Storage};
use url::Url;
use uuid::Uuid;

use crate::support::schemas::{ensure_event, our_events};
use crate::support::{OUR_KEY, Worker, run_once};

const HLS: &str = "application/vnd.apple.mpegurl";
const SEGMENT: &str = "video/mp4";

/// Name, size, content type and content encoding of a file.
pub type Listed = (String, u64, Option<String>, Option<String>);

/// Files in a folder.
#[derive(Clone)]
pub struct Film {
    pub folder: String,
    files: Vec<(String, Vec<u8>, PutOptions)>,
}

impl Film {
    /// Nothing, in a folder whose name ends with a slash, or in the container itself.
    pub fn new(folder: &str) -> Self {
        Self { folder: folder.to_owned(), files: Vec::new() }
    }

    /// A file beside the others.
    pub fn with(self, name: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let options = PutOptions { content_type: Some(content_type.into()), ..PutOptions::default() };
        self.with_options(name, options, body)
    }

    /// The same, with other headers.
    pub fn with_options(mut self, name: &str, options: PutOptions, body: impl Into<Vec<u8>>) -> Self {
        self.files.retain(|(known, ..)| known != name);
        self.files.push((name.to_owned(), body.into(), options));
        self
    }

    /// Without one of its files.
    pub fn without(mut self, name: &str) -> Self {
        self.files.retain(|(known, ..)| known != name);
        self
    }

    /// A master playlist, and for each rendition a folder with a playlist and its segments.
    pub fn with_hls(mut self, renditions: &[&str], segments: usize) -> Self {
        let mut master = "#EXTM3U\n".to_owned();
        for (number, name) in renditions.iter().enumerate() {
            let _ = writeln!(master, "#EXT-X-STREAM-INF:BANDWIDTH={}00000\n{name}/index.m3u8", number + 1);
            for segment in 0..segments {
                let body = format!("{name} {segment} of {segments}");
                self = self.with(&format!("{name}/{segment:05}.m4s"), SEGMENT, body);
            }
            self = self.with(&format!("{name}/index.m3u8"), HLS, playlist(segments));
        }
        self.with("master.m3u8", HLS, master)
    }

    /// An MPD with two representations.
    pub fn with_dash(mut self, segments: usize) -> Self {
        for (name, segment) in ["v0", "v1"].iter().flat_map(|name| (1..=segments).map(move |n| (name, n))) {
            self = self.with(&format!("dash/{name}-{segment}.m4s"), SEGMENT, format!("{name} {segment}"));
        }
        self.with("dash/film.mpd", "application/dash+xml", mpd(segments))
    }

    /// Their full names.
    pub fn files(&self) -> Vec<String> {
        self.files.iter().map(|(name, ..)| format!("{}{name}", self.folder)).collect()
    }
}

/// A media playlist of so many segments.
pub fn playlist(segments: usize) -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n".to_owned();
    for segment in 0..segments {
        let _ = writeln!(text, "#EXTINF:4,\n{segment:05}.m4s");
    }
    text + "#EXT-X-ENDLIST\n"
}

/// An MPD of two representations with so many segments each.
pub fn mpd(segments: usize) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT{}S\" minBufferTime=\"PT2S\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\">\
         <Period><AdaptationSet mimeType=\"video/mp4\"><SegmentTemplate timescale=\"1\" duration=\"4\" startNumber=\"1\" \
         media=\"$RepresentationID$-$Number$.m4s\"/><Representation id=\"v0\" bandwidth=\"100000\"/>\
         <Representation id=\"v1\" bandwidth=\"200000\"/></AdaptationSet></Period></MPD>\n",
        segments * 4
    )
}

/// Sites `west` and `east` that serve a container straight from storage.
pub struct StaticWorld {
    pub vhost: Vhost,
    pub amqp: Amqp,
    /// A container of this story's own, at both.
    pub container: String,
    shared: Shared,
    folder: TempDir,
}

impl StaticWorld {
    /// West is replicated to east.
    pub async fn start() -> Result<Self> {
        let shared = shared().await?;
        let vhost = shared.vhost().await?;
        let amqp = Amqp::connect(&vhost.amqp_url()).await?;
        let container = format!("vod-{}", Uuid::new_v4());
        let world = Self { vhost, amqp, container, shared, folder: tempfile::tempdir()? };
        world.write_config("", world.shared.azurite())?;
        Ok(world)
    }

    /// And east to west.
    pub async fn both_ways() -> Result<Self> {
        let world = Self::start().await?;
        let text = std::fs::read_to_string(world.config())? + "[routes.east]\nreplicas = ['west']\n";
        std::fs::write(world.config(), text)?;
        Ok(world)
    }

    /// Writes the settings; `more` comes first. Storage is reached at `azurite`, or a proxy before it.
    pub fn write_config(&self, more: &str, azurite: &Url) -> Result<()> {
        let mut text = format!(
            "{more}\n[rabbitmq]\nurl = '{}'\nretry_delays_seconds = [1, 2]\n[routes.west]\nreplicas = ['east']\n",
            self.vhost.amqp_url()
        );
        for (account, key) in ACCOUNTS.iter().filter(|(name, _)| matches!(*name, "west" | "east")) {
            let blob_url = azurite.join(&format!("/{account}"))?;
            write!(
                text,
                "[sites.{account}]\nkind = 'static-origin'\nregion = 'test-{account}'\n\
                 [sites.{account}.storage]\naccount = '{account}'\nkey = '{key}'\nblob_url = '{blob_url}'\n"
            )?;
        }
        Ok(std::fs::write(self.config(), text)?)
    }

    /// Lets a site's containers be served at `url`, by a web server of its own.
    pub fn serve_at(&self, site: &str, url: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.config())?;
        let table = format!("[sites.{site}]\n");
        ensure!(text.contains(&table), "no {table}: {text}");
        Ok(std::fs::write(self.config(), text.replace(&table, &format!("{table}streaming_url = '{url}'\n")))?)
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("worker.toml")
    }

    pub fn azurite(&self) -> &Url {
        self.shared.azurite()
    }

    pub fn storage(&self, site: &str) -> Result<Storage> {
        self.shared.storage(site)
    }

    pub async fn worker(&self) -> Result<Worker> {
        Worker::start(&self.config()).await
    }

    pub async fn events(&self) -> Result<Subscription> {
        our_events(&self.amqp).await
    }

    /// Makes the container as a CDN's origin needs it: everybody may read its blobs.
    pub async fn make_container(&self, site: &str) -> Result<()> {
        let storage = self.storage(site)?;
        if storage.list(&self.container).await?.is_none() {
            storage.create_public_container(&self.container).await?;
        }
        Ok(())
    }

    pub async fn upload(&self, site: &str, film: &Film) -> Result<()> {
        self.make_container(site).await?;
        let storage = self.storage(site)?;
        let puts = film.files.iter().map(|(name, body, options)| {
            let name = format!("{}{name}", film.folder);
            let (storage, container) = (&storage, &self.container);
            async move { storage.put(container, &name, body.clone(), options.clone()).await }
        });
        let mut puts = futures::stream::StreamExt::buffer_unordered(futures::stream::iter(puts), 16);
        while let Some(put) = futures::stream::StreamExt::next(&mut puts).await {
            put?;
        }
        Ok(())
    }

    /// Says that a film is finished, as a packager would.
    pub async fn send_finished(&self, site: &str, film: &Film) -> Result<()> {
        self.send(json!({ "site": site, "asset": { "location": self.location(&film.folder) } })).await
    }

    fn location(&self, folder: &str) -> Value {
        json!({ "container": self.container, "prefix": folder })
    }

    pub async fn send(&self, data: Value) -> Result<()> {
        let id = Uuid::new_v4().to_string();
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/packagers/test", "type": "media.encoding.finished.v1",
            "data": data,
        });
        let message = Outgoing { body: event.to_string().into(), message_id: Some(id), ..Outgoing::default() };
        self.amqp.publish("media.events", "media.encoding.finished.test", message).await
    }

    /// Sends a body as it is.
    pub async fn send_body(&self, body: Value) -> Result<()> {
        let message = Outgoing { body: body.to_string().into(), ..Outgoing::default() };
        self.amqp.publish("media.events", "media.encoding.finished.test", message).await
    }

    /// Replicates a folder from west to east by hand; what it announces.
    pub async fn replicate(&self, folder: &str) -> Result<Value> {
        let (code, out, errors) = self.run(folder).await?;
        ensure!(code == Some(0), "{code:?}: {errors}");
        let event = serde_json::from_str(&out).context("no event")?;
        ensure_event(&event)?;
        Ok(event)
    }

    /// Replicates a folder that cannot be; what is said about it.
    pub async fn refused(&self, folder: &str) -> Result<String> {
        let (code, out, errors) = self.run(folder).await?;
        ensure!(code == Some(1), "{code:?}: {out} {errors}");
        Ok(errors)
    }

    async fn run(&self, folder: &str) -> Result<(Option<i32>, String, String)> {
        let asset = format!("{}/{folder}", self.container);
        let asset = asset.trim_end_matches('/');
        let output = run_once(&self.config(), &["replicate", "--from", "west", "--asset", asset, "--json"]).await?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    }

    /// What lies in the container of a site; nothing where there is none.
    pub async fn listing(&self, site: &str) -> Result<Vec<Listed>> {
        let blobs = self.storage(site)?.list(&self.container).await?.unwrap_or_default();
        let listed = blobs.into_iter().map(|mut blob| {
            blob.metadata.remove(OUR_KEY);
            assert!(blob.metadata.is_empty(), "{blob:?}");
            (blob.name, blob.size, blob.content_type, blob.content_encoding)
        });
        Ok(listed.collect())
    }
}
