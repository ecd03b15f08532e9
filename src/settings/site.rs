//! Settings of one data centre: its media service account, storage account and streaming endpoint.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::Secret;
use crate::model::SiteName;

/// Settings of one data centre. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSettings {
    /// Which kind of media service runs there.
    pub kind: SiteKind,
    /// Its region, for the event.
    #[serde(default)]
    pub region: Option<String>,
    /// Where its streaming endpoint is, when not where the media service says.
    #[serde(default)]
    pub streaming_url: Option<Url>,
    /// The media service account.
    pub media: MediaSettings,
    /// The storage account.
    pub storage: StorageSettings,
}

/// The kinds of media service that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SiteKind {
    /// Azure Media Services v2 (REST).
    #[serde(rename = "ams-v2")]
    AmsV2,
}

impl SiteKind {
    /// The word used in settings and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AmsV2 => "ams-v2",
        }
    }
}

/// The media service account of a site.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// The account's name.
    #[serde(deserialize_with = "trimmed")]
    pub account: String,
    /// The account's key.
    #[serde(default)]
    pub key: Option<Secret>,
    /// A file that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Where tokens are had; the path `/v2/OAuth2-13` is added unless it is there.
    #[serde(default = "global_token_url")]
    pub token_url: Url,
    /// What a token is asked for; `urn:` is put in front unless it is there.
    #[serde(default = "scope", deserialize_with = "trimmed")]
    pub scope: String,
    /// The REST API's root, or the front door that redirects to it.
    #[serde(default = "global_api_url")]
    pub api_url: Url,
    /// Hosts besides the well-known ones that may be sent a token, such as a private front door's clusters.
    #[serde(default, deserialize_with = "list")]
    pub allowed_hosts: Vec<String>,
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
    /// The blob service's address; by default `https://<account>.blob.core.windows.net/`.
    #[serde(default)]
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

#[expect(clippy::unwrap_used, reason = "a constant, parsed by a test")]
fn global_token_url() -> Url {
    Url::parse("https://wamsprodglobal001acs.accesscontrol.windows.net/").unwrap()
}

#[expect(clippy::unwrap_used, reason = "a constant, parsed by a test")]
fn global_api_url() -> Url {
    Url::parse("https://media.windows.net/API/").unwrap()
}

fn scope() -> String {
    "urn:WindowsAzureMediaServices".to_owned()
}

fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| text.trim().to_owned())
}

fn trimmed_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_addresses_parse() {
        assert_eq!(super::global_token_url().scheme(), "https");
        assert_eq!(super::global_api_url().path(), "/API/");
    }
}
