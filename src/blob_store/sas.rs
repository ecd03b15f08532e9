//! Mints a service SAS (shared access signature) per request from the account key: least permission, short validity.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use url::form_urlencoded;

use crate::settings::Secret;

/// The first version whose text to sign has a field for the encryption scope; later ones sign the same text
/// (Azure Storage REST, "Create a service SAS").
const SAS_VERSION: &str = "2020-12-06";

/// How far the start lies in the past, against clock skew between us and the service.
const START_AGO: Duration = Duration::from_secs(5 * 60);

const UTC_SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// What is done in a container. `sr` and the permissions are those of "Create a service SAS".
#[derive(Debug, Clone, Copy)]
pub enum Grant<'a> {
    /// List its blobs.
    List,
    /// Read the blob of this name.
    Read(&'a str),
    /// Create or overwrite the blob of this name.
    Write(&'a str),
    /// Delete the blob of this name.
    Delete(&'a str),
    /// Make the container itself; only a SAS of the account can grant this and what follows.
    CreateContainer,
    /// Read the container's own properties.
    LookAtContainer,
    /// Read the account's own properties.
    LookAtService,
}

impl<'a> Grant<'a> {
    /// The blob's name where it is about one blob.
    pub fn blob(self) -> Option<&'a str> {
        match self {
            Self::List | Self::CreateContainer | Self::LookAtContainer | Self::LookAtService => None,
            Self::Read(name) | Self::Write(name) | Self::Delete(name) => Some(name),
        }
    }

    fn permissions(self) -> &'static str {
        match self {
            Self::List => "l",
            Self::Read(..) | Self::LookAtContainer | Self::LookAtService => "r",
            Self::Write(..) => "w",
            Self::Delete(..) => "d",
            Self::CreateContainer => "c",
        }
    }

    /// The kind of resource that a SAS of the account must be for: a container, or the service itself.
    fn account_resource(self) -> Option<&'static str> {
        match self {
            Self::CreateContainer | Self::LookAtContainer => Some("c"),
            Self::LookAtService => Some("s"),
            Self::List | Self::Read(..) | Self::Write(..) | Self::Delete(..) => None,
        }
    }
}

/// An account and its key. Not `Debug`: what it holds is a secret.
#[derive(Clone)]
pub struct Signer {
    account: String,
    mac: Hmac<Sha256>,
    validity: Duration,
    protocol: &'static str,
}

impl Signer {
    /// Takes the account key as base64; `https_only` makes signatures that the service refuses over plain http.
    /// `None` when the key is not base64.
    pub fn new(account: &str, key: &Secret, validity: Duration, https_only: bool) -> Option<Self> {
        let key = BASE64_STANDARD.decode(key.expose()).ok()?;
        let mac = Hmac::new_from_slice(&key).ok()?;
        let protocol = if https_only { "https" } else { "" };
        Some(Self { account: account.to_owned(), mac, validity, protocol })
    }

    /// The query string that grants `grant` in `container` from a little before `now` on, ready for a URL.
    pub fn sign(&self, container: &str, grant: Grant<'_>, now: OffsetDateTime) -> String {
        let permissions = grant.permissions();
        let (start, expiry) = (utc_seconds(now - START_AGO), utc_seconds(now + self.validity));
        let (account, protocol) = (&self.account, self.protocol);
        let path = |rest: &str| format!("/blob/{account}/{container}{rest}");
        let (kind, text) = match grant.account_resource() {
            // name, sp, ss, srt, st, se, sip, spr, sv, ses ("Create an account SAS")
            Some(resource) => (
                vec![("ss", "b"), ("srt", resource)],
                format!("{account}\n{permissions}\nb\n{resource}\n{start}\n{expiry}\n\n{protocol}\n{SAS_VERSION}\n\n"),
            ),
            // sp, st, se, resource, si, sip, spr, sv, sr, snapshot, ses, rscc, rscd, rsce, rscl, rsct
            None => {
                let blob = grant.blob();
                let (kind, path) = blob.map_or_else(|| ("c", path("")), |name| ("b", path(&format!("/{name}"))));
                let text = format!(
                    "{permissions}\n{start}\n{expiry}\n{path}\n\n\n{protocol}\n{SAS_VERSION}\n{kind}\n\n\n\n\n\n\n"
                );
                (vec![("sr", kind)], text)
            }
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("sv", SAS_VERSION).extend_pairs(kind).append_pair("sp", permissions);
        query.extend_pairs([("st", &start), ("se", &expiry)]);
        if !protocol.is_empty() {
            query.append_pair("spr", protocol);
        }
        query.append_pair("sig", &self.signature(&text)).finish()
    }

    fn signature(&self, text: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }
}

fn utc_seconds(time: OffsetDateTime) -> String {
    time.to_utc().format(UTC_SECONDS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The signatures are those of `openssl dgst -sha256 -hmac` over the documented text.
    #[test]
    fn the_signature_covers_the_documented_text() {
        let key = Secret::new(&BASE64_STANDARD.encode(b"not a secret"));
        let signer = |https| Signer::new("west", &key, Duration::from_secs(3600), https).unwrap();
        let now = datetime!(2026-01-02 03:04:05.678 +02:00);
        assert_eq!(
            signer(true).sign("asset-1", Grant::Read("a/b c+ü.mp4"), now),
            "sv=2020-12-06&sr=b&sp=r&st=2026-01-02T00%3A59%3A05Z&se=2026-01-02T02%3A04%3A05Z&spr=https&sig=O3PM9ePDxhWYme4vyBbAh6C94C5w7LjiouZxn6NjhxE%3D"
        );
        assert_eq!(
            signer(false).sign("asset-1", Grant::List, now),
            "sv=2020-12-06&sr=c&sp=l&st=2026-01-02T00%3A59%3A05Z&se=2026-01-02T02%3A04%3A05Z&sig=hDH9kxCTxnfbKDh%2B9mEBONq7foaxuBQwAqLSzMEuqlo%3D"
        );
        assert_eq!(
            signer(true).sign("state", Grant::CreateContainer, now),
            "sv=2020-12-06&ss=b&srt=c&sp=c&st=2026-01-02T00%3A59%3A05Z&se=2026-01-02T02%3A04%3A05Z&spr=https&sig=bqu8stl3C0OV6nn87OxAvh6%2BPIvoSjw%2Bh%2FK1FEBlAd8%3D"
        );
    }
}
