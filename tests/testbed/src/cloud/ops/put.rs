//! Put Blob, Set Blob Metadata, Set Blob Properties, Delete Blob.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Request, conditions};
use crate::cloud::answer::Answer;
use crate::cloud::call::Call;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::blob::{Blob, Kind, Properties};
use crate::cloud::state::content::Content;

/// What a blob is when nobody says (Put Blob, Azure Blob REST).
const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// The answer to a write, with the new ETag.
pub(super) fn written(status: u16, blob: &Blob) -> Answer {
    let answer = Answer::new(status).header("etag", &blob.stamp.etag.quoted());
    answer.header("last-modified", &http_date(blob.stamp.modified)).fixed("x-ms-request-server-encrypted", "true")
}

/// Properties with a content type.
pub(super) fn typed(mut properties: Properties) -> Arc<Properties> {
    properties.content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
    Arc::new(properties)
}

/// A header that holds an MD5.
pub(super) fn md5_header(call: &Call, name: &'static str) -> Result<Option<[u8; 16]>, Refusal> {
    let Some(text) = call.find_header(name) else { return Ok(None) };
    let md5 = BASE64.decode(text).ok().and_then(|md5| md5.try_into().ok());
    let message = "The MD5 value specified in the request is invalid. It must be 128 bits and Base64-encoded.";
    md5.map(Some).ok_or_else(|| Refusal::new(400, "InvalidMd5", message).detail("HeaderName", name))
}

/// Put Blob.
pub(super) fn put(request: &Request<'_>) -> Result<Answer, Refusal> {
    let call = request.call;
    let (kind, content) = match call.header("x-ms-blob-type") {
        "BlockBlob" => (Kind::Block, Content::bytes(call.body.clone())),
        "AppendBlob" => (Kind::Append, Content::empty()),
        "PageBlob" => (Kind::Page, super::kinds::empty_pages(call)?),
        "" => return Err(Refusal::missing_header("x-ms-blob-type")),
        _ => return Err(Refusal::invalid_header("x-ms-blob-type")),
    };
    if kind != Kind::Block {
        let (properties, metadata) = (typed(call.properties(true)), call.metadata()?);
        let md5 = md5_header(call, "x-ms-blob-content-md5")?;
        return request.account.with(&call.target.container, |container| {
            conditions::verify_write(request, container.blobs.get(call.target.blob.as_str()).map(AsRef::as_ref))?;
            let blob = Blob::new(content, properties, metadata, request.shared.clock.stamp());
            Ok(written(201, &container.replace(&call.target.blob, Blob { kind, md5, ..blob })))
        });
    }
    let md5 = content.md5();
    if md5_header(call, "content-md5")?.is_some_and(|given| given != md5) {
        return Err(Refusal::md5_mismatch());
    }
    let stored_md5 = md5_header(call, "x-ms-blob-content-md5")?.unwrap_or(md5);
    let (properties, metadata) = (typed(call.properties(true)), call.metadata()?);
    request.account.with(&call.target.container, |container| {
        conditions::verify_write(request, container.blobs.get(call.target.blob.as_str()).map(AsRef::as_ref))?;
        let mut blob = Blob::new(content, properties, metadata, request.shared.clock.stamp());
        blob.md5 = Some(stored_md5);
        let blob = container.replace(&call.target.blob, blob);
        Ok(written(201, &blob).header("content-md5", &BASE64.encode(md5)))
    })
}

/// Changes a blob where nothing forbids it, and gives it a new ETag.
pub(super) fn change(
    request: &Request<'_>,
    status: u16,
    how: impl FnOnce(&mut Blob) -> Result<(), Refusal>,
) -> Result<Answer, Refusal> {
    let target = &request.call.target;
    request.account.with(&target.container, |container| {
        let place = container.blobs.get_mut(target.blob.as_str()).ok_or_else(Refusal::blob_not_found)?;
        conditions::verify_write(request, Some(place))?;
        let blob = Arc::make_mut(place);
        how(blob)?;
        blob.stamp = request.shared.clock.stamp();
        Ok(written(status, blob))
    })
}

/// Set Blob Metadata: replaces all of it.
pub(super) fn set_metadata(request: &Request<'_>) -> Result<Answer, Refusal> {
    let metadata = request.call.metadata()?;
    change(request, 200, |blob| {
        blob.metadata = metadata;
        Ok(())
    })
}

/// Set Blob Properties: what is not given is cleared.
pub(super) fn set_properties(request: &Request<'_>) -> Result<Answer, Refusal> {
    let (properties, md5) = (request.call.properties(false), md5_header(request.call, "x-ms-blob-content-md5")?);
    change(request, 200, |blob| {
        (blob.properties, blob.md5) = (Arc::new(properties), md5);
        Ok(())
    })
}

/// Delete Blob. The model keeps no snapshots. Uncommitted blocks stay.
pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Refusal> {
    let target = &request.call.target;
    request.account.with(&target.container, |container| {
        let blob = container.blob(&target.blob)?;
        conditions::verify_write(request, Some(blob))?;
        container.blobs.remove(target.blob.as_str());
        Ok(Answer::new(202).fixed("x-ms-delete-type-permanent", "true"))
    })
}
