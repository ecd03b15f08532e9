//! Get Blob and Get Blob Properties.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Request, conditions};
use crate::cloud::answer::Answer;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::blob::{Blob, Kind};
use crate::cloud::state::lease::LeaseState;

/// The largest range whose MD5 is computed on demand (Get Blob, Azure Blob REST).
const MAX_HASHED_BYTES: u64 = 4 * 1024 * 1024;

/// Get Blob Properties.
pub(super) fn head(request: &Request<'_>) -> Result<Answer, Refusal> {
    let blob = find(request)?;
    let answer = headers(Answer::new(200), &blob).header("content-length", &blob.content.size().to_string());
    Ok(with_md5(answer, "content-md5", &blob))
}

/// Get Blob, whole or in part.
pub(super) fn get(request: &Request<'_>) -> Result<Answer, Refusal> {
    let blob = find(request)?;
    // what the service is still copying cannot be read yet
    if blob.is_pending() {
        return Err(Refusal::pending_copy());
    }
    let range = request.call.find_header("x-ms-range").or_else(|| request.call.find_header("range"));
    let size = blob.content.size();
    let Some((first, last)) = range.and_then(|range| parse_range(range, size)).transpose()? else {
        return Ok(with_md5(headers(Answer::new(200), &blob), "content-md5", &blob).content(blob.content.clone()));
    };
    let part = blob.content.slice(first, last - first + 1);
    let mut answer = headers(Answer::new(206), &blob).header("content-range", &format!("bytes {first}-{last}/{size}"));
    if request.call.header("x-ms-range-get-content-md5").eq_ignore_ascii_case("true") {
        if part.size() > MAX_HASHED_BYTES {
            let message = "One of the request inputs is out of range: no MD5 of more than 4 MiB.";
            return Err(Refusal::new(400, "OutOfRangeInput", message));
        }
        answer = answer.header("content-md5", &BASE64.encode(part.md5()));
    }
    Ok(with_md5(answer, "x-ms-blob-content-md5", &blob).content(part))
}

fn find(request: &Request<'_>) -> Result<Arc<Blob>, Refusal> {
    let target = &request.call.target;
    let blob = request.account.with(&target.container, |container| container.blob(&target.blob).cloned())?;
    conditions::verify_lease_of_read(request.call, Some(&blob))?;
    conditions::verify_read(request.call, &blob)?;
    Ok(blob)
}

/// First and last byte of `bytes=first-last`; `None` for what is no range of bytes.
pub(super) fn parse_range(range: &str, size: u64) -> Option<Result<(u64, u64), Refusal>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if first >= size || last < first {
        return Some(Err(Refusal::invalid_range().header("content-range", format!("bytes */{size}"))));
    }
    Some(Ok((first, last.min(size - 1))))
}

fn with_md5(answer: Answer, name: &str, blob: &Blob) -> Answer {
    match blob.md5 {
        Some(md5) => answer.header(name, &BASE64.encode(md5)),
        None => answer,
    }
}

fn headers(mut answer: Answer, blob: &Blob) -> Answer {
    let properties = &blob.properties;
    let own = [
        ("content-type", &properties.content_type),
        ("cache-control", &properties.cache_control),
        ("content-encoding", &properties.content_encoding),
        ("content-language", &properties.content_language),
        ("content-disposition", &properties.content_disposition),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            answer.set(name, value);
        }
    }
    for (name, value) in blob.metadata.iter() {
        answer.set(&format!("x-ms-meta-{name}"), value);
    }
    let state = LeaseState::of(blob.lease.as_deref());
    answer.set("x-ms-lease-state", state.word());
    answer.set("x-ms-lease-status", if state.is_locked() { "locked" } else { "unlocked" });
    answer.set("etag", &blob.stamp.etag.quoted());
    answer.set("last-modified", &http_date(blob.stamp.modified));
    answer.set("x-ms-creation-time", &http_date(blob.created));
    if let Some(copy) = &blob.copy {
        answer.set("x-ms-copy-id", &copy.id);
        answer.set("x-ms-copy-source", &copy.source);
        answer.set("x-ms-copy-status", copy.status.word());
        answer.set("x-ms-copy-progress", &copy.progress());
        if let Some(description) = copy.description() {
            answer.set("x-ms-copy-status-description", description);
        }
        if let Some(completed) = copy.completed {
            answer.set("x-ms-copy-completion-time", &http_date(completed));
        }
    }
    let answer = answer
        .fixed("accept-ranges", "bytes")
        .fixed("x-ms-blob-type", blob.kind.word())
        .fixed("x-ms-server-encrypted", "true");
    match blob.kind {
        Kind::Block => answer.fixed("x-ms-access-tier", "Hot").fixed("x-ms-access-tier-inferred", "true"),
        Kind::Append => answer.fixed("x-ms-blob-committed-block-count", "1"),
        Kind::Page => answer.fixed("x-ms-blob-sequence-number", "0"),
    }
}
