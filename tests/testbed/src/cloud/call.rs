//! A request, taken apart: whose blob it is about, its query, headers and body.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use super::error::Refusal;
use super::state::blob::{Metadata, Properties};

/// The largest body that is taken in: of Put Block, 4000 MiB are allowed, but nobody here sends that.
const MAX_BODY_BYTES: usize = 512 * 1024 * 1024;

/// What a path names: `/account/container/blob`, as Azurite has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) account: String,
    pub(crate) container: String,
    /// Decoded, with its slashes.
    pub(crate) blob: String,
}

impl Target {
    pub(crate) fn parse(path: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let mut next = || decode(parts.next().unwrap_or_default());
        Self { account: next(), container: next(), blob: next() }
    }
}

/// A query's names and values, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Empty where it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }
}

/// A request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// As it came, encoded.
    pub(crate) path: String,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Bytes) -> Self {
        let query = uri.query().map(Query::parse).unwrap_or_default();
        Self { method, path: uri.path().to_owned(), target: Target::parse(uri.path()), query, headers, body }
    }

    /// A header as text; empty where it is absent. Names are in lower case.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// A header as text, if it is there and not empty.
    pub(crate) fn find_header(&self, name: &str) -> Option<&str> {
        Some(self.header(name)).filter(|value| !value.is_empty())
    }

    /// Where it was sent to, as listings tell it: `http://127.0.0.1:10000/west/`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}/{}/", self.header("host"), self.target.account)
    }

    /// `x-ms-meta-*`.
    ///
    /// # Errors
    /// Names are those of C# (letters, digits, underscores), else `InvalidMetadata`.
    pub(crate) fn metadata(&self) -> Result<Metadata, Refusal> {
        let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (name, value) in &self.headers {
            let Some(name) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
            let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) || !name.chars().all(is_word) {
                let message = "The metadata specified is invalid. It has characters that are not permitted.";
                return Err(Refusal::new(400, "InvalidMetadata", message));
            }
            pairs.push((name.into(), String::from_utf8_lossy(value.as_bytes()).trim().into()));
        }
        pairs.sort_unstable();
        Ok(pairs.into())
    }

    /// `x-ms-blob-content-type` and its siblings. Put Blob takes the standard headers too.
    pub(crate) fn properties(&self, or_standard: bool) -> Properties {
        let one = |name: &str| {
            let own = self.find_header(&format!("x-ms-blob-{name}"));
            own.or_else(|| self.find_header(name).filter(|_| or_standard)).map(str::to_owned)
        };
        Properties {
            content_type: one("content-type"),
            cache_control: one("cache-control"),
            content_encoding: one("content-encoding"),
            content_language: one("content-language"),
            content_disposition: one("content-disposition"),
        }
    }
}

/// A header as text; empty where it is absent, or no text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok()).unwrap_or_default().trim()
}

/// The whole body; `None` when it is larger than anybody sends, or the connection ends first.
pub(crate) async fn read(mut body: Incoming) -> Option<Bytes> {
    if body.is_end_stream() {
        return Some(Bytes::new());
    }
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        if all.len() + data.len() > MAX_BODY_BYTES {
            return None;
        }
        all.extend_from_slice(&data);
    }
    Some(if all.is_empty() { first } else { all.freeze() })
}
