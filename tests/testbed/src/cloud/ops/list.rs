//! List Blobs: pages of names in the order of their bytes, flat or by folders.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Request;
use crate::cloud::answer::Answer;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::Container;
use crate::cloud::state::blob::{Blob, Kind};
use crate::cloud::state::lease::LeaseState;
use crate::cloud::xml::{element, escape_into};

/// The largest page (List Blobs, Azure Blob REST).
const MAX_RESULTS: usize = 5000;

/// What the query asks for.
struct Wanted<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    /// The first name of the page.
    from: String,
    limit: usize,
    metadata: bool,
    copy: bool,
    uncommitted: bool,
}

/// One line of a page.
enum Entry {
    Blob(Box<str>, Arc<Blob>),
    /// A blob of which there are uncommitted blocks only.
    Uncommitted(Box<str>),
    Prefix(String),
}

/// List Blobs.
pub(super) fn list(request: &Request<'_>) -> Result<Answer, Refusal> {
    let wanted = wanted(request)?;
    let (page, next) = request.account.with(&request.call.target.container, |found| Ok(collect(found, &wanted)))?;
    let mut body = String::with_capacity(700 * page.len() + 500);
    body.push_str("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"");
    escape_into(&mut body, &request.call.endpoint());
    body.push_str("\" ContainerName=\"");
    escape_into(&mut body, &request.call.target.container);
    body.push_str("\">");
    for (name, query) in
        [("Prefix", "prefix"), ("Marker", "marker"), ("MaxResults", "maxresults"), ("Delimiter", "delimiter")]
    {
        if let Some(value) = request.call.query.find(query).filter(|value| !value.is_empty()) {
            element(&mut body, name, value);
        }
    }
    body.push_str("<Blobs>");
    for entry in &page {
        match entry {
            Entry::Blob(name, blob) => write_blob(&mut body, name, blob, &wanted),
            Entry::Uncommitted(name) => {
                body.push_str("<Blob>");
                write_name(&mut body, name);
                body.push_str(
                    "<Properties><Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>",
                );
            }
            Entry::Prefix(name) => {
                body.push_str("<BlobPrefix>");
                write_name(&mut body, name);
                body.push_str("</BlobPrefix>");
            }
        }
    }
    body.push_str("</Blobs>");
    element(&mut body, "NextMarker", &next.map(|name| marker(&name)).unwrap_or_default());
    body.push_str("</EnumerationResults>");
    Ok(Answer::new(200).xml(body))
}

/// An opaque marker that looks like the service's.
fn marker(next: &str) -> String {
    let encoded = BASE64.encode(next);
    format!("2!{}!{encoded}", encoded.len())
}

fn wanted<'a>(request: &Request<'a>) -> Result<Wanted<'a>, Refusal> {
    let query = &request.call.query;
    let limit = match query.get("maxresults") {
        "" => MAX_RESULTS,
        text => text.parse().map_err(|_| Refusal::invalid_query("maxresults"))?,
    };
    if limit == 0 {
        return Err(Refusal::out_of_range_query("maxresults"));
    }
    let from = match query.get("marker") {
        "" => String::new(),
        marker => {
            let encoded = marker.splitn(3, '!').nth(2).and_then(|encoded| BASE64.decode(encoded).ok());
            encoded.and_then(|name| String::from_utf8(name).ok()).ok_or_else(|| Refusal::invalid_query("marker"))?
        }
    };
    let includes: Vec<&str> =
        query.0.iter().filter(|(name, _)| name == "include").flat_map(|(_, value)| value.split(',')).collect();
    Ok(Wanted {
        prefix: query.get("prefix"),
        delimiter: query.get("delimiter"),
        from,
        limit: limit.min(MAX_RESULTS),
        metadata: includes.contains(&"metadata"),
        copy: includes.contains(&"copy"),
        uncommitted: includes.contains(&"uncommittedblobs"),
    })
}

/// One page, and the first name of the next one.
fn collect(container: &Container, wanted: &Wanted<'_>) -> (Vec<Entry>, Option<String>) {
    let mut page = Vec::new();
    let mut start = Bound::Included(wanted.from.as_str().max(wanted.prefix).to_owned());
    while let Some((name, blob)) = next(container, &start, wanted.uncommitted) {
        if !name.starts_with(wanted.prefix) {
            break;
        }
        if page.len() == wanted.limit {
            return (page, Some(name.to_owned()));
        }
        let behind = &name[wanted.prefix.len()..];
        let folder = if wanted.delimiter.is_empty() { None } else { behind.find(wanted.delimiter) };
        if let Some(at) = folder {
            let folder = name[..wanted.prefix.len() + at + wanted.delimiter.len()].to_owned();
            start = after_all(&folder);
            page.push(Entry::Prefix(folder));
            continue;
        }
        start = Bound::Excluded(name.to_owned());
        page.push(
            blob.map_or_else(|| Entry::Uncommitted(name.into()), |blob| Entry::Blob(name.into(), Arc::clone(blob))),
        );
        // the common case without a search per name
        if !wanted.uncommitted && wanted.delimiter.is_empty() {
            return flat(container, start, page, wanted);
        }
    }
    (page, None)
}

/// The rest of a flat page.
fn flat(
    container: &Container,
    start: Bound<String>,
    mut page: Vec<Entry>,
    wanted: &Wanted<'_>,
) -> (Vec<Entry>, Option<String>) {
    for (name, blob) in container.blobs.range::<str, _>((as_str(&start), Bound::Unbounded)) {
        if !name.starts_with(wanted.prefix) {
            break;
        }
        if page.len() == wanted.limit {
            return (page, Some(name.to_string()));
        }
        page.push(Entry::Blob(name.clone(), Arc::clone(blob)));
    }
    (page, None)
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(name) => Bound::Included(name),
        Bound::Excluded(name) => Bound::Excluded(name),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Behind every name that starts with `folder`.
fn after_all(folder: &str) -> Bound<String> {
    Bound::Excluded(format!("{folder}{}", char::MAX))
}

/// The next name, with its blob if it is committed.
fn next<'a>(
    container: &'a Container,
    start: &Bound<String>,
    with_uncommitted: bool,
) -> Option<(&'a str, Option<&'a Arc<Blob>>)> {
    fn first<'a, T>(map: &'a BTreeMap<Box<str>, T>, start: &Bound<String>) -> Option<(&'a str, &'a T)> {
        map.range::<str, _>((as_str(start), Bound::Unbounded)).next().map(|(name, value)| (name.as_ref(), value))
    }
    let blob = first(&container.blobs, start).map(|(name, blob)| (name, Some(blob)));
    let staged = if with_uncommitted { first(&container.staged, start).map(|(name, _)| (name, None)) } else { None };
    match (blob, staged) {
        (Some(blob), Some(staged)) if staged.0 < blob.0 => Some(staged),
        (None, staged) => staged,
        (blob, _) => blob,
    }
}

/// Names with characters that XML cannot hold come percent-encoded (List Blobs, since 2021-02-12).
fn write_name(body: &mut String, name: &str) {
    if name.chars().any(|letter| letter < ' ' || matches!(letter, '\u{fffe}' | '\u{ffff}')) {
        body.push_str("<Name Encoded=\"true\">");
        body.extend(utf8_percent_encode(name, NON_ALPHANUMERIC));
        body.push_str("</Name>");
    } else {
        element(body, "Name", name);
    }
}

fn write_blob(body: &mut String, name: &str, blob: &Blob, wanted: &Wanted<'_>) {
    body.push_str("<Blob>");
    write_name(body, name);
    body.push_str("<Properties>");
    let modified = http_date(blob.stamp.modified);
    element(
        body,
        "Creation-Time",
        &if blob.created == blob.stamp.modified { modified.clone() } else { http_date(blob.created) },
    );
    element(body, "Last-Modified", &modified);
    element(body, "Etag", &blob.stamp.etag.to_string());
    element(body, "Content-Length", &blob.content.size().to_string());
    let properties = &blob.properties;
    let md5 = blob.md5.map(|md5| BASE64.encode(md5));
    let parts = [
        ("Content-Type", &properties.content_type),
        ("Content-Encoding", &properties.content_encoding),
        ("Content-Language", &properties.content_language),
        ("Content-MD5", &md5),
        ("Cache-Control", &properties.cache_control),
        ("Content-Disposition", &properties.content_disposition),
    ];
    for (name, value) in parts {
        element(body, name, value.as_deref().unwrap_or_default());
    }
    element(body, "BlobType", blob.kind.word());
    if blob.kind == Kind::Block {
        body.push_str("<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>");
    }
    let state = LeaseState::of(blob.lease.as_deref());
    element(body, "LeaseStatus", if state.is_locked() { "locked" } else { "unlocked" });
    element(body, "LeaseState", state.word());
    if let Some(copy) = blob.copy.as_ref().filter(|_| wanted.copy) {
        element(body, "CopyId", &copy.id);
        element(body, "CopySource", &copy.source);
        element(body, "CopyStatus", copy.status.word());
        element(body, "CopyProgress", &copy.progress());
        if let Some(description) = copy.description() {
            element(body, "CopyStatusDescription", description);
        }
        if let Some(completed) = copy.completed {
            element(body, "CopyCompletionTime", &http_date(completed));
        }
    }
    body.push_str("<ServerEncrypted>true</ServerEncrypted></Properties>");
    if wanted.metadata && !blob.metadata.is_empty() {
        body.push_str("<Metadata>");
        for (name, value) in blob.metadata.iter() {
            element(body, name, value);
        }
        body.push_str("</Metadata>");
    }
    body.push_str("<OrMetadata /></Blob>");
}
