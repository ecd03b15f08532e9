//! Settings of a media service account: who asks for tokens, and where the service is.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::site::{list, trimmed, trimmed_if_any};
use super::{ClientCertificate, Secret, address};
use crate::model::Cloud;

/// The media service account of a site. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// The account's name.
    #[serde(deserialize_with = "trimmed")]
    pub account: String,
    /// The account's key, for ACS.
    #[serde(default)]
    pub key: Option<Secret>,
    /// A file that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The token door of ACS, path included.
    #[serde(default, deserialize_with = "address::acs")]
    pub token_url: Option<Url>,
    /// What a token of ACS is asked for, beginning with `urn:`.
    #[serde(default, deserialize_with = "urn")]
    pub scope: Option<String>,
    /// The tenant of Entra ID: a domain or an id.
    #[serde(default, deserialize_with = "trimmed_if_any")]
    pub tenant: Option<String>,
    /// The service principal's application id.
    #[serde(default, deserialize_with = "trimmed_if_any")]
    pub client_id: Option<String>,
    /// The service principal's secret.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// A file that holds the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// A PEM file with the service principal's certificate and private key, instead of the secret.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// What that file holds.
    #[serde(skip)]
    pub certificate: Option<ClientCertificate>,
    /// The authority of Entra ID, with or without the tenant.
    #[serde(default, deserialize_with = "address::authority")]
    pub authority_url: Option<Url>,
    /// What a token of Entra ID is asked for.
    #[serde(default, deserialize_with = "trimmed_if_any")]
    pub resource: Option<String>,
    /// The REST API's root, or the front door that redirects to it.
    #[serde(default, deserialize_with = "address::api")]
    pub api_url: Option<Url>,
    /// The region of the account's own door, which is used in place of the front door.
    #[serde(default, deserialize_with = "region")]
    pub region: Option<String>,
    /// Hosts besides the well-known ones that may be sent a token, such as a private front door's clusters.
    #[serde(default, deserialize_with = "list")]
    pub allowed_hosts: Vec<String>,
}

impl MediaSettings {
    /// Where the first call goes: `api_url`, else the account's door in `region`, else the front door of `cloud`.
    ///
    /// # Errors
    /// When the cloud has no front door, or no address can be made of account and region: the key below the site, and
    /// what is wrong.
    pub fn api_root(&self, cloud: Cloud) -> Result<Url, (&'static str, String)> {
        if let Some(url) = &self.api_url {
            return Ok(url.clone());
        }
        let Some(region) = &self.region else {
            let front_door = cloud.api_url().and_then(|url| Url::parse(url).ok());
            return front_door.ok_or_else(|| {
                let name = cloud.name();
                let problem =
                    format!("is missing: cloud '{name}' has no shared front door, so set media.region or this");
                ("media.api_url", problem)
            });
        };
        if !is_label(region) {
            return Err(("media.region", "must be a region such as westeurope or westeurope-2".to_owned()));
        }
        // Contract ams-v2, section 1.3.
        if !(3..=24).contains(&self.account.len()) || !self.account.chars().all(|c| c.is_ascii_alphanumeric()) {
            let problem = "must be 3 to 24 letters and digits, as it is part of the address in media.region";
            return Err(("media.account", problem.to_owned()));
        }
        let url = Url::parse(&cloud.account_api_url(&self.account, region));
        url.map_err(|_| ("media.region", "makes no address: set media.api_url".to_owned()))
    }

    /// What is wrong with each of `allowed_hosts` that no address can ever match.
    pub(super) fn wrong_hosts(&self) -> impl Iterator<Item = String> {
        self.allowed_hosts.iter().filter_map(|text| {
            let text = text.to_ascii_lowercase();
            let url = Url::parse(&format!("https://{}", text.rsplit("://").next().unwrap_or_default())).ok();
            let host = url.as_ref().and_then(Url::host_str).filter(|host| !host.contains('*'));
            let Some((url, host)) = url.as_ref().zip(host) else {
                return Some("has an item that is no host: write it as host or host:port".to_owned());
            };
            if text == host || text == format!("{host}:{}", url.port_or_known_default().unwrap_or_default()) {
                return None;
            }
            let instead = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            Some(format!("must hold host or host:port and nothing else: write '{instead}'"))
        })
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The portal writes "West Europe", addresses have `westeurope`.
fn region<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text.split_whitespace().collect::<String>().to_ascii_lowercase()))
}

/// `urn:` is put in front unless it is there, as the walkthrough did (contract ams-v2, section 1.1).
fn urn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = trimmed(deserializer)?;
    let name = match text.get(..4) {
        Some(start) if start.eq_ignore_ascii_case("urn:") => &text[4..],
        _ => text.as_str(),
    };
    if name.is_empty() {
        return Err(serde::de::Error::custom("must not be empty"));
    }
    Ok(Some(format!("urn:{name}")))
}
