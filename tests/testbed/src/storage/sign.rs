//! Signs storage requests with the account key (Shared Key) and mints service SAS query strings.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, Url};
use sha2::Sha256;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Service version of requests and signatures. The SAS format with an encryption scope field holds since 2020-12-06.
pub(super) const VERSION: &str = "2021-12-02";

const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
const ISO_SECONDS: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// The time as HTTP headers carry it.
pub(super) fn http_date(time: OffsetDateTime) -> Result<String> {
    time.to_offset(UtcOffset::UTC).format(HTTP_DATE).context("this time has no HTTP date")
}

/// The time as signatures and stored policies carry it: UTC, whole seconds.
pub(super) fn iso_seconds(time: OffsetDateTime) -> Result<String> {
    time.to_offset(UtcOffset::UTC).format(ISO_SECONDS).context("this time has no ISO 8601 form")
}

/// What a service SAS rests on.
pub(super) enum Sas<'a> {
    /// Its own permissions and expiry.
    AdHoc { permissions: &'a str, expiry: OffsetDateTime },
    /// A stored access policy of the container; the times may stand in the URL too.
    Stored { policy_id: &'a str, start: Option<OffsetDateTime>, expiry: Option<OffsetDateTime> },
}

/// An account's name and key. Not `Debug`, so that the key cannot end up in a log.
pub(super) struct AccountKey {
    account: String,
    base64: String,
    mac: Hmac<Sha256>,
}

impl AccountKey {
    pub(super) fn new(account: &str, key_base64: &str) -> Result<Self> {
        let key = BASE64.decode(key_base64).context("the account key is not base64: copy it again")?;
        let mac = Hmac::new_from_slice(&key).context("the account key cannot sign")?;
        Ok(Self { account: account.to_owned(), base64: key_base64.to_owned(), mac })
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn base64(&self) -> &str {
        &self.base64
    }

    fn sign(&self, text: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        BASE64.encode(mac.finalize().into_bytes())
    }

    /// The `Authorization` header ("Authorize with Shared Key", rules of 2015-02-21 and later). `headers` are all
    /// `x-ms-*` headers of the request in lower case; of the standard ones this client sets `Content-Length` alone.
    pub(super) fn authorization(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(String, String)],
        content_length: usize,
    ) -> String {
        let length = if content_length == 0 { String::new() } else { content_length.to_string() };
        // Content-Encoding, -Language before; -MD5, -Type, Date, four conditions and Range after the length: all empty
        let mut text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n");
        let mut headers: Vec<_> = headers.iter().collect();
        headers.sort();
        for (name, value) in headers {
            text.push_str(&format!("{name}:{}\n", value.trim()));
        }
        text.push_str(&format!("/{}{}", self.account, url.path()));
        let mut query: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
        query.sort();
        for (name, value) in query {
            text.push_str(&format!("\n{name}:{value}"));
        }
        format!("SharedKey {}:{}", self.account, self.sign(&text))
    }

    /// A service SAS for a container ("Create a service SAS", version 2020-12-06 and later: 16 lines to sign).
    pub(super) fn container_sas(&self, container: &str, sas: Sas<'_>) -> String {
        // years past 9999 have no ISO form; nobody grants that long
        let written = |time| iso_seconds(time).unwrap_or_else(|_| "9999-12-31T23:59:59Z".to_owned());
        let (permissions, start, expiry, policy_id) = match sas {
            Sas::AdHoc { permissions, expiry } => (permissions, String::new(), written(expiry), ""),
            Sas::Stored { policy_id, start, expiry } => {
                ("", start.map(written).unwrap_or_default(), expiry.map(written).unwrap_or_default(), policy_id)
            }
        };
        let resource = format!("/blob/{}/{container}", self.account);
        let head = [permissions, &start, &expiry, &resource, policy_id, "", "", VERSION, "c"].join("\n");
        // snapshot time, encryption scope and five response headers stay empty
        let signature = self.sign(&format!("{head}\n\n\n\n\n\n\n"));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("sv", VERSION).append_pair("sr", "c");
        for (name, value) in [("si", policy_id), ("sp", permissions), ("st", &start), ("se", &expiry)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair("sig", &signature).finish()
    }
}
