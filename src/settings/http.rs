//! Settings of every HTTP call.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::certificate::authorities;

/// Settings of every HTTP call. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Time to connect, in seconds.
    pub connect_timeout_seconds: u64,
    /// Time for one control-plane call or manifest, answer included, in seconds.
    pub timeout_seconds: u64,
    /// Time for one storage call; a synchronous copy is silent while it runs, in seconds.
    pub storage_timeout_seconds: u64,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Tries of one call in process before the message goes to a retry queue.
    pub tries: usize,
    /// A PEM file of certificate authorities that are trusted besides the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Addresses of hosts that are not asked of the DNS.
    #[serde(default)]
    pub resolve: Resolve,
}

impl HttpSettings {
    /// The certificate authorities in `ca_file`; none without one.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn extra_roots(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        authorities(path)
    }
}

/// Where hosts are, in place of what the DNS says. Port 0 is the usual one of the URL's scheme; a port in the URL goes
/// before both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resolve(pub BTreeMap<String, SocketAddr>);

impl Resolve {
    fn add(&mut self, host: &str, address: &str) -> Result<(), String> {
        let (host, address) = (host.trim().to_ascii_lowercase(), address.trim());
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ':' | '=' | '*')) {
            return Err(format!("'{host}' is not the name of a host: write the name alone"));
        }
        let with_usual_port = || address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
        let address = address.parse().or_else(|_| with_usual_port()).map_err(|_| {
            format!("'{address}' is not where '{host}' may be: write ip:port, or ip for the usual port")
        })?;
        match self.0.insert(host.clone(), address) {
            None => Ok(()),
            Some(_) => Err(format!("names '{host}' twice")),
        }
    }
}

/// A table `host = "ip:port"`, a list of `host=ip:port`, or one text with commas between those, which is all that an
/// environment variable can hold.
impl<'de> Deserialize<'de> for Resolve {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a table host = 'ip:port', or a list of 'host=ip:port'")]
        enum Either {
            Table(BTreeMap<String, String>),
            Many(Vec<String>),
            One(String),
        }
        let mut resolve = Self::default();
        let items = match Either::deserialize(deserializer)? {
            Either::Table(table) => {
                for (host, address) in &table {
                    resolve.add(host, address).map_err(D::Error::custom)?;
                }
                return Ok(resolve);
            }
            Either::Many(items) => items,
            Either::One(text) => text.split(',').map(str::to_owned).collect(),
        };
        for item in items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
            let pair = item.split_once('=').ok_or_else(|| D::Error::custom(format!("'{item}' is not host=ip:port")))?;
            resolve.add(pair.0, pair.1).map_err(D::Error::custom)?;
        }
        Ok(resolve)
    }
}
