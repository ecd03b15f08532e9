//! What the packagers of an emulator keep at hand: players ask for many small things of few assets at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::ism::ServerManifest;
use super::smooth::Timelines;
use crate::emulator::state::AmsError;
use crate::storage::{BlobInfo, Storage};

/// What is kept of all containers.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<HashMap<String, Arc<Kept>>>);

/// What is kept of one container.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Server manifests and client manifests, read.
    pub(super) servers: Read<ServerManifest>,
    pub(super) clients: Read<Timelines>,
    listing: tokio::sync::Mutex<Option<Listing>>,
    /// Small texts by their name and version.
    texts: Mutex<HashMap<(String, String), Arc<str>>>,
}

/// What texts have been read as. A text is known by where it lies, as those on the shelf are never thrown away.
#[derive(Debug)]
pub(super) struct Read<T>(Mutex<Known<T>>);

type Known<T> = HashMap<usize, (Arc<str>, Arc<T>)>;

impl<T> Default for Read<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Read<T> {
    pub(super) fn read(&self, text: &Arc<str>, read: impl FnOnce() -> Result<T, AmsError>) -> Result<Arc<T>, AmsError> {
        let key = text.as_ptr().addr();
        if let Some((_, known)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(read()?);
        let kept = (Arc::clone(text), Arc::clone(&read));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, kept);
        Ok(read)
    }
}

#[derive(Debug)]
struct Listing {
    began: Instant,
    blobs: Option<Arc<[BlobInfo]>>,
}

impl Shelf {
    pub(super) fn of(&self, storage: &Storage, container: &str) -> Arc<Kept> {
        let key = storage.blob_url(container, "", None).to_string();
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    /// The blobs of a container as they are now, in the order of their names: a listing is shared by those who asked
    /// before it began, and by nobody else.
    pub(super) async fn list(&self, storage: &Storage, container: &str) -> Result<Option<Arc<[BlobInfo]>>, AmsError> {
        let (asked, kept) = (Instant::now(), self.of(storage, container));
        let mut listing = kept.listing.lock().await;
        if let Some(Listing { blobs, .. }) = listing.as_ref().filter(|listing| listing.began >= asked) {
            return Ok(blobs.clone());
        }
        let began = Instant::now();
        let blobs = storage.list(container).await.map_err(|error| AmsError::of_storage(&error))?;
        let blobs: Option<Arc<[BlobInfo]>> = blobs.map(Into::into);
        *listing = Some(Listing { began, blobs: blobs.clone() });
        Ok(blobs)
    }

    /// A listed blob as text; `None` when it is gone.
    pub(super) async fn text(
        &self,
        storage: &Storage,
        container: &str,
        blob: &BlobInfo,
    ) -> Result<Option<Arc<str>>, AmsError> {
        let kept = self.of(storage, container);
        let version = |info: &BlobInfo| (info.name.clone(), info.etag.trim_matches('"').to_owned());
        let found = kept.texts.lock().unwrap_or_else(PoisonError::into_inner).get(&version(blob)).cloned();
        if found.is_some() {
            return Ok(found);
        }
        let body = storage.get(container, &blob.name, None).await.map_err(|error| AmsError::of_storage(&error))?;
        let Some(body) = body else { return Ok(None) };
        let text: Arc<str> = String::from_utf8_lossy(&body.bytes).trim_start_matches('\u{feff}').into();
        let key = (blob.name.clone(), body.info.etag.trim_matches('"').to_owned());
        kept.texts.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&text));
        Ok(Some(text))
    }
}
