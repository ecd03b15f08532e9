//! The streaming endpoint of an account: finds a locator's asset in blob storage and answers like a packager.

mod dash;
mod files;
mod hls;
pub(crate) mod ism;
mod request;
mod shelf;
mod smooth;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use time::OffsetDateTime;

use super::doors::gate::Call;
use super::doors::reply;
use super::odata::schema::Set;
use super::shared::Shared;
use super::state::{AmsError, Entity, LOCATOR_PREFIX, container_of};
use crate::storage::{BlobInfo, Storage};
pub(crate) use files::content_type_of;
use ism::{ServerManifest, Track};
use request::{Protocol, Target};
pub(crate) use shelf::Shelf;

/// The asset behind a locator.
pub(crate) struct Published {
    shared: Arc<Shared>,
    storage: Storage,
    container: String,
    /// The blobs of the container, by name order.
    blobs: Arc<[BlobInfo]>,
    files: Vec<Entity>,
    /// Only how long the answer is matters (HEAD).
    is_head: bool,
}

/// Serves one streaming request of an account.
pub(crate) async fn serve(shared: Arc<Shared>, call: Call, account: String) -> Response<Body> {
    if call.request.method != "GET" && call.request.method != "HEAD" {
        return reply::html(405, "Method Not Allowed");
    }
    match answer(&shared, &call, &account).await {
        Ok(response) => response,
        Err(error) => reply::html(error.status, &error.message),
    }
}

async fn answer(shared: &Arc<Shared>, call: &Call, account: &str) -> Result<Response<Body>, AmsError> {
    let wanted = request::parse(call.uri.path()).ok_or_else(|| AmsError::new(400, "Bad Request"))?;
    let published = open(shared, account, &wanted.locator, call.request.method == "HEAD").await?;
    match wanted.target {
        Target::File(name) => files::serve(&published, &name, &call.headers).await,
        Target::Manifest { ism, protocol } => manifest(&published, &ism, protocol).await,
        Target::MediaPlaylist { ism, bitrate, track } => {
            let (manifest, timelines) = read_manifest(&published, &ism).await?;
            let track = find_track(&manifest, bitrate, &track)?;
            Ok(text_response(hls::CONTENT_TYPE, hls::media_playlist(track, &timelines.of(track))))
        }
        Target::Fragment { ism, bitrate, track, start } => fragment(&published, &ism, bitrate, &track, start).await,
    }
}

/// Finds the locator and lists the container. 404 without a locator or a running endpoint, 410 after the expiry.
async fn open(shared: &Arc<Shared>, account: &str, locator: &str, is_head: bool) -> Result<Published, AmsError> {
    let (storage, asset_id, files) = {
        let mut state = shared.state.lock();
        let account = state.account(account)?;
        if !account.can_stream() {
            return Err(AmsError::not_found(
                "the streaming endpoint is not running, or is a classic one without units",
            ));
        }
        let locator = account.find_mut(Set::Locators, &format!("{LOCATOR_PREFIX}{locator}"))?;
        let not_yet = locator.date("StartTime").is_some_and(|start| start > OffsetDateTime::now_utc());
        if locator.number("Type") != Some(2) || locator.hides_from_stream() || not_yet {
            return Err(AmsError::not_found("the locator"));
        }
        if locator.date("ExpirationDateTime").is_some_and(|expiry| expiry <= OffsetDateTime::now_utc()) {
            return Err(AmsError::new(410, "Gone: the locator has expired"));
        }
        let asset_id = locator.text("AssetId").unwrap_or_default().to_owned();
        (account.storage_of(&asset_id)?, asset_id.clone(), account.files_of(&asset_id).cloned().collect())
    };
    let container = container_of(&asset_id);
    let blobs = shared.shelf.list(&storage, &container).await?;
    let blobs = blobs.ok_or_else(|| AmsError::not_found("the container of the asset"))?;
    Ok(Published { shared: Arc::clone(shared), storage, container, blobs, files, is_head })
}

async fn manifest(published: &Published, ism: &str, protocol: Protocol) -> Result<Response<Body>, AmsError> {
    let (manifest, timelines) = read_manifest(published, ism).await?;
    let (content_type, text) = match protocol {
        Protocol::Smooth => {
            let client_manifest = published.text(&manifest.client_manifest(ism)).await?;
            let build = || smooth::client_manifest(&manifest, &timelines);
            (smooth::CONTENT_TYPE, client_manifest.map_or_else(build, |text| text.to_string()))
        }
        Protocol::SmoothLegacy => (smooth::CONTENT_TYPE, smooth::client_manifest(&manifest, &timelines)),
        Protocol::Hls(format) => (hls::CONTENT_TYPE, hls::master_playlist(&manifest, format)),
        Protocol::Dash(format) => (dash::CONTENT_TYPE, dash::presentation(&manifest, &timelines, format)),
    };
    Ok(text_response(content_type, text))
}

/// The server manifest, after a look whether everything that it names is there in the size that was registered.
async fn read_manifest(
    published: &Published,
    ism: &str,
) -> Result<(Arc<ServerManifest>, Arc<smooth::Timelines>), AmsError> {
    let shelf = published.shared.shelf.of(&published.storage, &published.container);
    let text = published.text(ism).await?.ok_or_else(|| AmsError::not_found(ism))?;
    let parse =
        || ism::parse(&text).map_err(|error| AmsError::new(500, format!("{ism} is not a server manifest: {error}")));
    let manifest = shelf.servers.read(&text, parse)?;
    for track in &manifest.tracks {
        published.check(&track.source)?;
    }
    let client_manifest = published.text(&manifest.client_manifest(ism)).await?;
    let timelines = match client_manifest {
        Some(text) => shelf.clients.read(&text, || Ok(smooth::timelines(&text)))?,
        None => Arc::default(),
    };
    Ok((manifest, timelines))
}

/// A piece of the track's file in place of a fragment: stable bytes, not playable ones.
async fn fragment(
    published: &Published,
    ism: &str,
    bitrate: u64,
    track: &str,
    start: u64,
) -> Result<Response<Body>, AmsError> {
    let (manifest, timelines) = read_manifest(published, ism).await?;
    let track = find_track(&manifest, bitrate, track)?;
    let (index, count) = timelines.of(track).chunk_at(start).ok_or_else(|| AmsError::not_found("this fragment"))?;
    files::slice(published, &track.source, index, count).await
}

fn find_track<'a>(manifest: &'a ServerManifest, bitrate: u64, name: &str) -> Result<&'a Track, AmsError> {
    manifest
        .find(bitrate, name)
        .ok_or_else(|| AmsError::not_found(format_args!("the quality level {bitrate} of '{name}'")))
}

impl Published {
    fn blob(&self, name: &str) -> Option<&BlobInfo> {
        self.blobs.iter().find(|blob| blob.name == name)
    }

    fn file(&self, name: &str) -> Option<&Entity> {
        self.files.iter().find(|file| file.text("Name") == Some(name))
    }

    /// 404 when a named file is missing or has another size than its asset file says.
    fn check(&self, name: &str) -> Result<(), AmsError> {
        let blob =
            self.blob(name).ok_or_else(|| AmsError::not_found(format_args!("the file '{name}' of the manifest")))?;
        let registered = self.file(name).and_then(|file| file.number("ContentFileSize"));
        if registered.is_some_and(|size| u64::try_from(size) != Ok(blob.size)) {
            return Err(AmsError::not_found(format_args!("the file '{name}' in its registered size")));
        }
        Ok(())
    }

    /// A blob as text; `None` when it is not there.
    async fn text(&self, name: &str) -> Result<Option<Arc<str>>, AmsError> {
        match self.blob(name) {
            Some(blob) => self.shared.shelf.text(&self.storage, &self.container, blob).await,
            None => Ok(None),
        }
    }
}

fn text_response(content_type: &str, text: String) -> Response<Body> {
    reply::with_body(200, Some(content_type), Body::from(text))
}
