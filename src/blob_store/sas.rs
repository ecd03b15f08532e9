//! Mints a service SAS (shared access signature) per request from the account key: least permission, short validity.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::settings::Secret;

/// The first version whose text to sign has a field for the encryption scope; later ones sign the same text
/// (Azure Storage REST, "Create a service SAS").
const SAS_VERSION: &str = "2020-12-06";

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

    /// The query string that grants `grant` in `container` until its validity from `now` on is over, ready for a URL. It
    /// names no start, so that it is valid at once by whatever clock the service has ("Grant limited access to Azure
    /// Storage resources using shared access signatures", best practices).
    pub fn sign(&self, container: &str, grant: Grant<'_>, now: OffsetDateTime) -> String {
        let permissions = grant.permissions();
        let expiry = utc_seconds(now + self.validity);
        let (account, protocol) = (&self.account, self.protocol);
        let path = |rest: &str| format!("/blob/{account}/{container}{rest}");
        let (scope, text) = match grant.account_resource() {
            // name, sp, ss, srt, st, se, sip, spr, sv, ses ("Create an account SAS")
            Some(resource) => (
                format!("ss=b&srt={resource}"),
                format!("{account}\n{permissions}\nb\n{resource}\n\n{expiry}\n\n{protocol}\n{SAS_VERSION}\n\n"),
            ),
            // sp, st, se, resource, si, sip, spr, sv, sr, snapshot, ses, rscc, rscd, rsce, rscl, rsct
            None => {
                let blob = grant.blob();
                let (kind, path) = blob.map_or_else(|| ("c", path("")), |name| ("b", path(&format!("/{name}"))));
                let text =
                    format!("{permissions}\n\n{expiry}\n{path}\n\n\n{protocol}\n{SAS_VERSION}\n{kind}\n\n\n\n\n\n\n");
                (format!("sr={kind}"), text)
            }
        };
        let protocol = if protocol.is_empty() { String::new() } else { format!("&spr={protocol}") };
        // Of all values only this one has signs that mean something else in a query (RFC 3986, section 3.4).
        let signature = self.signature(&text);
        let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
        format!("sv={SAS_VERSION}&{scope}&sp={permissions}&se={expiry}{protocol}&sig={signature}")
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
            "sv=2020-12-06&sr=b&sp=r&se=2026-01-02T02:04:05Z&spr=https&sig=5wE5WcyPcwkl5JiPMrO12LynKi1cTXE2wQCfd3o4lto%3D"
        );
        assert_eq!(
            signer(false).sign("asset-1", Grant::List, now),
            "sv=2020-12-06&sr=c&sp=l&se=2026-01-02T02:04:05Z&sig=wcAcg78nmWDUbJzzdYYYt3qEGUPj2aNljnVfFcvJ7PA%3D"
        );
        assert_eq!(
            signer(true).sign("state", Grant::CreateContainer, now),
            "sv=2020-12-06&ss=b&srt=c&sp=c&se=2026-01-02T02:04:05Z&spr=https&sig=Hmb8tEkzG7j5mx%2BCStAxZeY7ojPN0BMGnstJ3O79zM8%3D"
        );
    }
}
