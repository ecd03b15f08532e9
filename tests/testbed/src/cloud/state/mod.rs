//! What the model keeps: accounts, their containers, blobs and uncommitted blocks.

pub(crate) mod blob;
pub(crate) mod content;
pub(crate) mod lease;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use self::blob::{Blob, Metadata};
use self::content::Content;
use super::clock::Stamp;
use super::costs::{Bucket, Pipe};
use super::error::Refusal;

/// One storage account.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) key_base64: String,
    mac: Hmac<Sha256>,
    containers: Mutex<Containers>,
    pub(crate) requests: Bucket,
    /// What leaves the account through copies.
    pub(crate) egress: Pipe,
    /// What comes into it.
    pub(crate) ingress: Pipe,
}

/// An account's containers by name.
pub(crate) type Containers = BTreeMap<String, Container>;

/// One container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) stamp: Stamp,
    pub(crate) metadata: Metadata,
    pub(crate) policies: Vec<Policy>,
    pub(crate) blobs: BTreeMap<Box<str>, Arc<Blob>>,
    pub(crate) staged: BTreeMap<Box<str>, Staged>,
}

/// Blocks of a blob that no list has committed yet, by id.
pub(crate) type Staged = BTreeMap<Box<str>, Content>;

/// A stored access policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) start: Option<String>,
    pub(crate) expiry: Option<String>,
    pub(crate) permissions: Option<String>,
}

impl Account {
    pub(crate) fn new(name: &str, key_base64: &str) -> Result<Self> {
        let key = BASE64.decode(key_base64).with_context(|| format!("the key of '{name}' is not base64"))?;
        Ok(Self {
            name: name.to_owned(),
            key_base64: key_base64.to_owned(),
            mac: Hmac::new_from_slice(&key).with_context(|| format!("the key of '{name}' cannot sign"))?,
            containers: Mutex::default(),
            requests: Bucket::default(),
            egress: Pipe::default(),
            ingress: Pipe::default(),
        })
    }

    /// Whether the signature of a text is right.
    pub(crate) fn has_signed(&self, text: &str, signature: &str) -> bool {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        BASE64.decode(signature).is_ok_and(|signature| mac.verify_slice(&signature).is_ok())
    }

    pub(crate) fn containers(&self) -> MutexGuard<'_, Containers> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container for as long as `look` takes.
    pub(crate) fn with<T>(
        &self,
        container: &str,
        look: impl FnOnce(&mut Container) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        look(self.containers().get_mut(container).ok_or_else(Refusal::container_not_found)?)
    }
}

impl Container {
    pub(crate) fn new(stamp: Stamp, metadata: Metadata) -> Self {
        Self { stamp, metadata, policies: Vec::new(), blobs: BTreeMap::new(), staged: BTreeMap::new() }
    }

    pub(crate) fn blob(&self, name: &str) -> Result<&Arc<Blob>, Refusal> {
        self.blobs.get(name).ok_or_else(Refusal::blob_not_found)
    }

    /// Puts a blob in place of what was there; uncommitted blocks of the name are gone with that (Put Blob, Azure Blob
    /// REST). The lease and the time of creation stay.
    pub(crate) fn replace(&mut self, name: &str, mut blob: Blob) -> Arc<Blob> {
        self.staged.remove(name);
        if let Some(old) = self.blobs.get_mut(name) {
            blob.created = old.created;
            blob.lease = old.lease.clone();
            *old = Arc::new(blob);
            return Arc::clone(old);
        }
        let blob = Arc::new(blob);
        self.blobs.insert(name.into(), Arc::clone(&blob));
        blob
    }
}
