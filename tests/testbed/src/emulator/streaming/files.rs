//! Progressive download: the other files of an asset, whole or in ranges.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};

use super::Published;
use crate::emulator::doors::reply;
use crate::emulator::state::AmsError;
use crate::storage::BlobInfo;

/// The content type that an encoder gives to a file of this name.
pub(crate) fn content_type_of(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "mp4" | "m4v" | "ismv" => "video/mp4",
        "m4a" | "isma" => "audio/mp4",
        "ism" | "ismc" => "application/octet-stream",
        "xml" => "text/xml",
        "vtt" => "text/vtt",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "json" => "application/json",
        _ => return None,
    })
}

/// Serves a file; manifests of the server are not for download (contract ams-v2 section 6).
pub(super) async fn serve(published: &Published, name: &str, headers: &HeaderMap) -> Result<Response<Body>, AmsError> {
    let lower = name.to_ascii_lowercase();
    let blob = published.blob(name).filter(|_| !lower.ends_with(".ism") && !lower.ends_with(".ismc"));
    let blob = blob.ok_or_else(|| AmsError::not_found(name))?;
    let mime_type = published.file(name).and_then(|file| file.text("MimeType"));
    let content_type = mime_type.or(blob.content_type.as_deref()).unwrap_or("application/octet-stream");
    let wanted = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).map(|value| range(value, blob.size));
    let mut response = match wanted {
        None => whole(published, blob, content_type).await?,
        Some(Some((first, last))) => {
            let mut response = part(published, blob, content_type, first, last).await?;
            let content_range = format!("bytes {first}-{last}/{}", blob.size);
            insert(&mut response, header::CONTENT_RANGE, &content_range);
            response
        }
        Some(None) => {
            let mut response = reply::empty(416);
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", blob.size));
            response
        }
    };
    insert(&mut response, header::ACCEPT_RANGES, "bytes");
    insert(&mut response, header::ETAG, &format!("\"{}\"", blob.etag.trim_matches('"')));
    Ok(response)
}

/// One of `count` equal pieces of a file.
pub(super) async fn slice(
    published: &Published,
    name: &str,
    index: usize,
    count: usize,
) -> Result<Response<Body>, AmsError> {
    let blob = published.blob(name).ok_or_else(|| AmsError::not_found(name))?;
    let (index, count) = (index as u64, count as u64);
    let (first, end) = (blob.size * index / count, blob.size * (index + 1) / count);
    if first >= end {
        return Ok(reply::with_body(200, Some("video/mp4"), Body::empty()));
    }
    if published.is_head {
        return Ok(only_length(end - first, "video/mp4"));
    }
    let mut response = part(published, blob, "video/mp4", first, end - 1).await?;
    *response.status_mut() = axum::http::StatusCode::OK;
    Ok(response)
}

/// An answer to HEAD, without asking storage for what nobody reads.
fn only_length(bytes: u64, content_type: &str) -> Response<Body> {
    let mut response = reply::with_body(200, Some(content_type), Body::empty());
    insert(&mut response, header::CONTENT_LENGTH, &bytes.to_string());
    response
}

async fn whole(published: &Published, blob: &BlobInfo, content_type: &str) -> Result<Response<Body>, AmsError> {
    if published.is_head {
        return Ok(only_length(blob.size, content_type));
    }
    let body = published.storage.get(&published.container, &blob.name, None).await;
    let body = body.map_err(|error| AmsError::of_storage(&error))?.ok_or_else(|| AmsError::not_found(&blob.name))?;
    Ok(reply::with_body(200, Some(content_type), Body::from(body.bytes)))
}

async fn part(
    published: &Published,
    blob: &BlobInfo,
    content_type: &str,
    first: u64,
    last: u64,
) -> Result<Response<Body>, AmsError> {
    let body = published.storage.get(&published.container, &blob.name, Some((first, last))).await;
    let body = body.map_err(|error| AmsError::of_storage(&error))?.ok_or_else(|| AmsError::not_found(&blob.name))?;
    Ok(reply::with_body(206, Some(content_type), Body::from(body.bytes)))
}

/// The first and last byte of a single range, `None` when it cannot be satisfied.
fn range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    let (first, last) = match (first.trim(), last.trim()) {
        ("", length) => (size.saturating_sub(length.parse().ok()?), end),
        (first, "") => (first.parse().ok()?, end),
        (first, last) => (first.parse().ok()?, end.min(last.parse().ok()?)),
    };
    (first <= last).then_some((first, last))
}

fn insert(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn reads_ranges() {
        assert_eq!(range("bytes=0-9", 100), Some((0, 9)));
        assert_eq!(range("bytes=90-", 100), Some((90, 99)));
        assert_eq!(range("bytes=-5", 100), Some((95, 99)));
        assert_eq!(range("bytes=90-200", 100), Some((90, 99)));
        assert_eq!(range("bytes=100-", 100), None);
        assert_eq!(range("bytes=0-", 0), None);
    }
}
