//! The blob REST API's shapes: requests with their headers, listings, error and policy XML.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};
use roxmltree::{Document, Node};
use time::OffsetDateTime;

use super::sign::{AccountKey, VERSION, http_date, iso_seconds};
use super::{BlobInfo, PutOptions, StoredPolicy};

/// The start of every HTTP client here: no proxy of the machine between us and our own processes.
pub(crate) fn http_client_builder() -> reqwest::ClientBuilder {
    // reqwest is built without a TLS provider of its own; a second installation is refused and does no harm
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Azurite closes a connection that was idle for 5 s, perhaps at the moment it is used again: ours are closed before.
    reqwest::Client::builder().no_proxy().pool_idle_timeout(std::time::Duration::from_secs(1))
}

/// A request before it is signed.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Continues a listing at `marker`; the first page has none.
    pub(super) fn page(self, marker: &str) -> Self {
        if marker.is_empty() { self } else { self.query("marker", marker) }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_lowercase(), value.to_owned()));
        self
    }

    pub(super) fn headers(mut self, headers: &[(String, String)]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn into_request(mut self, key: &AccountKey) -> Result<Request> {
        self.headers.push(("x-ms-date".to_owned(), http_date(OffsetDateTime::now_utc())?));
        self.headers.push(("x-ms-version".to_owned(), VERSION.to_owned()));
        let authorization = key.authorization(&self.method, &self.url, &self.headers, self.body.len());
        self.headers.push(("authorization".to_owned(), authorization));
        if self.body.is_empty() {
            self.headers.push(("content-length".to_owned(), "0".to_owned()));
        }
        let mut request = Request::new(self.method, self.url);
        for (name, value) in &self.headers {
            let value =
                HeaderValue::from_str(value).with_context(|| format!("header {name} cannot carry its value"))?;
            request.headers_mut().append(HeaderName::from_bytes(name.as_bytes())?, value);
        }
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.into());
        }
        Ok(request)
    }
}

/// The headers that store a blob's properties and metadata.
pub(super) fn stored_headers(options: &PutOptions) -> Vec<(String, String)> {
    let properties = [
        ("x-ms-blob-content-type", &options.content_type),
        ("x-ms-blob-cache-control", &options.cache_control),
        ("x-ms-blob-content-encoding", &options.content_encoding),
        ("x-ms-blob-content-language", &options.content_language),
        ("x-ms-blob-content-disposition", &options.content_disposition),
    ];
    let properties = properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let metadata = options.metadata.iter().map(|(name, value)| {
        // header names have no case
        (format!("x-ms-meta-{}", name.to_lowercase()), value.clone())
    });
    properties.chain(metadata).collect()
}

/// A header's value as text.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The whole blob's length out of `Content-Range: bytes 0-9/100`.
pub(super) fn total_size(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-range")?.rsplit_once('/')?.1.parse().ok()
}

/// Properties out of the headers of Get Blob or Get Blob Properties.
pub(super) fn info_of(name: &str, headers: &HeaderMap) -> BlobInfo {
    let one = |name: &str| header(headers, name).filter(|value| !value.is_empty());
    let metadata = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("x-ms-meta-")?;
        Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    BlobInfo {
        name: name.to_owned(),
        size: one("content-length").and_then(|size| size.parse().ok()).unwrap_or_default(),
        etag: one("etag").unwrap_or_default(),
        content_type: one("content-type"),
        // a range answers with its own MD5, if any, and names the blob's here
        content_md5: one("x-ms-blob-content-md5").or_else(|| one("content-md5")),
        cache_control: one("cache-control"),
        content_encoding: one("content-encoding"),
        content_language: one("content-language"),
        content_disposition: one("content-disposition"),
        metadata: metadata.collect(),
        blob_type: one("x-ms-blob-type").unwrap_or_default(),
        last_modified: one("last-modified").unwrap_or_default(),
    }
}

/// One page of List Blobs and the marker of the next one.
pub(super) fn parse_blobs(xml: &str) -> Result<(Vec<BlobInfo>, Option<String>)> {
    let document = parse(xml)?;
    let blobs = document.descendants().filter(|node| node.has_tag_name("Blob")).map(blob_of).collect::<Result<_>>()?;
    Ok((blobs, next_marker(&document)))
}

/// One page of List Containers and the marker of the next one.
pub(super) fn parse_containers(xml: &str) -> Result<(Vec<String>, Option<String>)> {
    let document = parse(xml)?;
    let containers = document.descendants().filter(|node| node.has_tag_name("Container"));
    Ok((containers.filter_map(|node| text(node, "Name")).collect(), next_marker(&document)))
}

fn parse(xml: &str) -> Result<Document<'_>> {
    // some answers start with a byte order mark
    Document::parse(xml.trim_start_matches('\u{feff}')).context("the blob storage's listing is not XML")
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name)?.text().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn next_marker(document: &Document<'_>) -> Option<String> {
    text(document.root_element(), "NextMarker")
}

fn blob_of(blob: Node<'_, '_>) -> Result<BlobInfo> {
    let name_node = child(blob, "Name").context("a listed blob has no name")?;
    let mut name = name_node.text().unwrap_or_default().to_owned();
    // since 2021-02-12 names with characters that XML forbids come percent-encoded
    if name_node.attribute("Encoded") == Some("true") {
        name = percent_decode_str(&name).decode_utf8_lossy().into_owned();
    }
    let properties = child(blob, "Properties").context("a listed blob has no properties")?;
    let one = |name: &str| text(properties, name);
    let metadata: BTreeMap<_, _> = child(blob, "Metadata")
        .map(|all| {
            let pairs = all.children().filter(Node::is_element);
            pairs.map(|pair| (pair.tag_name().name().to_owned(), pair.text().unwrap_or_default().to_owned())).collect()
        })
        .unwrap_or_default();
    Ok(BlobInfo {
        name,
        size: one("Content-Length").and_then(|size| size.parse().ok()).unwrap_or_default(),
        etag: one("Etag").unwrap_or_default(),
        content_type: one("Content-Type"),
        content_md5: one("Content-MD5"),
        cache_control: one("Cache-Control"),
        content_encoding: one("Content-Encoding"),
        content_language: one("Content-Language"),
        content_disposition: one("Content-Disposition"),
        metadata,
        blob_type: one("BlobType").unwrap_or_default(),
        last_modified: one("Last-Modified").unwrap_or_default(),
    })
}

/// The body of Set Container ACL.
pub(super) fn policies_xml(policies: &[StoredPolicy]) -> Result<String> {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers>");
    for policy in policies {
        let start = policy.start.map(iso_seconds).transpose()?;
        let start = start.map(|start| format!("<Start>{start}</Start>")).unwrap_or_default();
        xml.push_str(&format!(
            "<SignedIdentifier><Id>{}</Id><AccessPolicy>{start}<Expiry>{}</Expiry><Permission>{}</Permission>\
             </AccessPolicy></SignedIdentifier>",
            escape(&policy.id),
            iso_seconds(policy.expiry)?,
            escape(&policy.permissions),
        ));
    }
    xml.push_str("</SignedIdentifiers>");
    Ok(xml)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
