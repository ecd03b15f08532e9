//! Two storage accounts of one Azurite, seen by the testbed's client and by ours.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use stream_replicator::blob_store::{BlobAccount, CopyOptions};
use stream_replicator::failure::Failure;
use stream_replicator::http::StorageTransport;
use stream_replicator::model::{Blob, Difference, Pair};
use stream_replicator::settings::{HttpSettings, Resolve, Secret, StorageAccess, StorageSettings};
use testbed::process::shared;
use testbed::storage::{PutOptions, Storage};
use url::Url;
use uuid::Uuid;

/// Names that break where a name is not percent-encoded exactly once.
pub const AWKWARD_NAMES: [&str; 9] = [
    "video/1080p/segment 01 (final).m4s",
    "Größe/日本語/🎬.mp4",
    "100%.mp4",
    "100%25.mp4",
    "a+b c&d=e.mp4",
    "what?.mp4",
    "part#2.mp4",
    "it's;a,'list'[1]{2}.mp4",
    "manifest.ism",
];

/// The blob of that name.
pub fn named<'a>(blobs: &'a [Blob], name: &str) -> Result<&'a Blob> {
    blobs.iter().find(|blob| blob.name == name).with_context(|| format!("no {name}"))
}

/// Every way in which the second listing is not the first.
pub fn differences(source: &[Blob], replica: &[Blob]) -> Vec<Difference> {
    let (mut ours, mut theirs) = (source.iter().cloned(), replica.iter().cloned());
    let (mut left, mut right) = (ours.next(), theirs.next());
    let mut found = Vec::new();
    while let Some(pair) = Pair::take(&mut left, &mut right) {
        found.extend(pair.difference());
        (left, right) = (left.or_else(|| ours.next()), right.or_else(|| theirs.next()));
    }
    found
}

/// Both accounts, each once as the testbed sees it and once as we do.
pub struct World {
    pub west: Storage,
    pub east: Storage,
    pub source: BlobAccount,
    pub replica: BlobAccount,
}

impl World {
    /// Both accounts of the shared Azurite.
    pub async fn start() -> Result<Self> {
        Self::at(shared().await?.azurite()).await
    }

    /// The same through another address.
    pub async fn at(address: &Url) -> Result<Self> {
        let shared = shared().await?;
        let (west, east) = (shared.storage_at(address, "west")?, shared.storage_at(address, "east")?);
        let ours = |storage: &Storage| {
            account_at(storage.endpoint().as_str(), storage.account(), storage.key_base64(), &settings())
        };
        let (source, replica) = (ours(&west)?, ours(&east)?);
        Ok(Self { west, east, source, replica })
    }

    /// A container of a fresh name in both accounts.
    pub async fn container(&self) -> Result<String> {
        let name = format!("asset-{}", Uuid::new_v4());
        self.west.create_container(&name).await?;
        self.east.create_container(&name).await?;
        Ok(name)
    }

    /// Copies a blob of `west` to `east`.
    pub async fn copy(&self, container: &str, blob: &Blob) -> Result<(), Failure> {
        self.replica
            .container(container)
            .copy_whole(&self.source.container(container), blob, CopyOptions::default())
            .await
            .map(drop)
    }
}

/// Our view of an account at an address.
pub fn account_at(endpoint: &str, account: &str, key: &str, http: &HttpSettings) -> Result<BlobAccount> {
    let settings = StorageSettings {
        access: StorageAccess::AccountKey,
        account: Some(account.into()),
        key: Some(Secret::new(key)),
        key_file: None,
        blob_url: Some(endpoint.parse()?),
    };
    let validity = Duration::from_secs(600);
    let site = account.parse().map_err(anyhow::Error::msg)?;
    Ok(BlobAccount::new(&site, &settings, validity, &StorageTransport::new(http)?)?)
}

/// Short limits, few tries.
pub fn settings() -> HttpSettings {
    HttpSettings {
        connect_timeout_seconds: 5,
        timeout_seconds: 10,
        storage_timeout_seconds: 10,
        max_response_bytes: 1024 * 1024,
        tries: 3,
        ca_file: None,
        resolve: Resolve::default(),
    }
}

/// Every header that a blob can have, and metadata with characters that XML escapes.
pub fn options() -> PutOptions {
    PutOptions {
        content_type: Some("video/mp4".into()),
        cache_control: Some("max-age=60".into()),
        content_encoding: Some("identity".into()),
        content_language: Some("de".into()),
        content_disposition: Some("inline".into()),
        metadata: [("cms".into(), "4711; \"x\" <y>".into())].into(),
        ..PutOptions::default()
    }
}

/// Whether a failure tells a signature or one of `secrets` in any way that it can be printed.
pub fn exposes(failure: &Failure, secrets: &[&str]) -> bool {
    let printed = format!("{failure} {failure:?} {failure:#?} {:?}", failure.hint);
    printed.contains("sig=") || secrets.iter().any(|secret| printed.contains(secret))
}

/// What was logged.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        self.0.lock().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_or_else(|_| Err(io::ErrorKind::Other.into()), |mut log| log.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
