//! Settings of one data centre: its cloud, its storage account and its streaming endpoint.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::{Identity, MediaSettings, Secret, address};
use crate::model::{Cloud, SiteName};

/// Settings of one data centre. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// Which kind of media service runs there.
    pub kind: SiteKind,
    /// The cloud that it is in, which gives every address that is not set.
    #[serde(default)]
    pub cloud: Cloud,
    /// Its region, for the event.
    #[serde(default)]
    pub region: Option<String>,
    /// Where its streaming endpoint is, when not where the media service says, or its storage is.
    #[serde(default, deserialize_with = "address::any")]
    pub streaming_url: Option<Url>,
    /// The media service account; none for [`SiteKind::StaticOrigin`].
    #[serde(default)]
    pub media: Option<MediaSettings>,
    /// The storage account.
    pub storage: StorageSettings,
}

impl SiteSettings {
    /// Writes every address that follows from the cloud into its key, where none is set.
    pub(super) fn complete(&mut self) {
        if let Some(media) = &mut self.media {
            complete_media(media, self.cloud);
        }
        // Through SAS locators storage is where these say.
        let has_key = self.storage.access == StorageAccess::AccountKey;
        if let (true, None, Some(account)) = (has_key, &self.storage.blob_url, &self.storage.account) {
            self.storage.blob_url = self.cloud.blob_url(account).parse().ok();
        }
        if self.kind == SiteKind::StaticOrigin && self.streaming_url.is_none() {
            self.streaming_url = self.storage.blob_url.clone();
        }
    }
}

fn complete_media(media: &mut MediaSettings, cloud: Cloud) {
    if let Ok(root) = media.api_root(cloud) {
        media.api_url = Some(root);
    }
    match media.identity(cloud) {
        Ok(Identity::Acs { token_url, scope, .. }) => {
            (media.token_url, media.scope) = (Some(token_url), Some(scope));
        }
        Ok(Identity::Entra { resource, .. }) => {
            media.resource = Some(resource);
            media.authority_url = media.authority_url.take().or_else(|| cloud.authority_url().parse().ok());
        }
        Err(_) => {}
    }
}

/// The kinds of site that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SiteKind {
    /// Azure Media Services v2 (REST).
    #[serde(rename = "ams-v2")]
    AmsV2,
    /// Packaged streams (HLS, DASH, progressive files) served straight from blob storage.
    #[serde(rename = "static-origin")]
    StaticOrigin,
}

impl SiteKind {
    /// The word used in settings and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AmsV2 => "ams-v2",
            Self::StaticOrigin => "static-origin",
        }
    }
}

/// How the blobs of a site are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageAccess {
    /// With the storage account's key: every request is signed for itself.
    #[default]
    AccountKey,
    /// Without a key: through SAS locators that the media service makes and takes back.
    SasLocators,
}

/// The storage account of a site.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSettings {
    /// How its blobs are reached.
    #[serde(default)]
    pub access: StorageAccess,
    /// The account's name. With [`StorageAccess::SasLocators`] it may be absent: the media service says where its
    /// containers are.
    #[serde(default, deserialize_with = "trimmed_if_any")]
    pub account: Option<String>,
    /// The account's key, base64; there with [`StorageAccess::AccountKey`] only.
    #[serde(default)]
    pub key: Option<Secret>,
    /// A file that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The blob service's address; by default `https://<account>.blob.<the cloud's suffix>/`.
    #[serde(default, deserialize_with = "address::any")]
    pub blob_url: Option<Url>,
}

/// Where one source's assets are replicated to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// One or more sites; in the environment separated by commas.
    #[serde(deserialize_with = "list")]
    pub replicas: Vec<SiteName>,
}

pub(super) fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| text.trim().to_owned())
}

pub(super) fn trimmed_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    trimmed(deserializer).map(Some)
}

/// A list, or one text with commas, which is all that an environment variable can hold.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list, or one text with commas between the items")]
    enum Either {
        Many(Vec<String>),
        Numbers(Vec<u64>),
        One(String),
    }
    let words = match Either::deserialize(deserializer)? {
        Either::Many(words) => words,
        Either::Numbers(numbers) => numbers.iter().map(u64::to_string).collect(),
        Either::One(text) => text.split(',').map(str::to_owned).collect(),
    };
    let words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(serde::de::Error::custom)).collect()
}
