//! Put Block and Put Block From URL: blocks that wait for a list to commit them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::copy::spend;
use super::copy_source::{Source, verify_size};
use super::get::parse_range;
use super::put::md5_header;
use super::{Request, conditions};
use crate::cloud::answer::Answer;
use crate::cloud::error::Refusal;
use crate::cloud::state::Container;
use crate::cloud::state::blob::Kind;
use crate::cloud::state::content::Content;

/// The largest block, since version 2019-12-12 (Put Block From URL, Azure Blob REST).
const BLOCK_MAX_MIB: u64 = 4000;
/// The longest id before it is encoded.
const ID_MAX_BYTES: usize = 64;
/// A blob has so many uncommitted blocks at most.
const MAX_UNCOMMITTED: usize = 100_000;

/// Put Block.
pub(super) fn put(request: &Request<'_>) -> Result<Answer, Refusal> {
    let call = request.call;
    let id = block_id(request)?;
    if call.body.is_empty() {
        return Err(Refusal::invalid_header("Content-Length"));
    }
    let content = Content::bytes(call.body.clone());
    let mut answer = Answer::new(201).fixed("x-ms-request-server-encrypted", "true");
    if let Some(given) = md5_header(call, "content-md5")? {
        if given != content.md5() {
            return Err(Refusal::md5_mismatch());
        }
        answer.set("content-md5", &BASE64.encode(given));
    }
    request.account.with(&call.target.container, |container| {
        verify_place(request, container, &id)?;
        stage(container, &call.target.blob, id, content);
        Ok(answer)
    })
}

/// Put Block From URL.
pub(super) async fn put_from_url(request: &Request<'_>) -> Result<Answer, Refusal> {
    let call = request.call;
    let id = block_id(request)?;
    if !call.body.is_empty() {
        return Err(Refusal::invalid_header("Content-Length"));
    }
    request.account.with(&call.target.container, |container| verify_place(request, container, &id))?;
    let source = Source::find(request)?;
    let size = source.blob.content.size();
    let content = match call.find_header("x-ms-source-range") {
        Some(range) => {
            let range = parse_range(range, size).ok_or_else(|| Refusal::invalid_header("x-ms-source-range"))?;
            let (first, last) = range.map_err(Refusal::of_copy_source)?;
            source.blob.content.slice(first, last - first + 1)
        }
        None => source.blob.content.clone(),
    };
    if content.size() == 0 {
        return Err(Refusal::invalid_range().of_copy_source());
    }
    verify_size(content.size(), BLOCK_MAX_MIB)?;
    Source::verify_md5(request, &content)?;
    let copied = content.size();
    spend(request, &source, copied, request.shared.costs().of_block()).await;
    request.account.with(&call.target.container, |container| {
        verify_place(request, container, &id)?;
        stage(container, &call.target.blob, id, content);
        Ok(())
    })?;
    request.shared.count_copy(&source.target, copied);
    Ok(Answer::new(201).fixed("x-ms-request-server-encrypted", "true"))
}

fn block_id(request: &Request<'_>) -> Result<Box<str>, Refusal> {
    let id = request.call.query.get("blockid");
    if id.is_empty() {
        let message = "A query parameter that's mandatory for this request is not specified.";
        return Err(Refusal::new(400, "MissingRequiredQueryParameter", message).detail("QueryParameterName", "blockid"));
    }
    match BASE64.decode(id) {
        Ok(bytes) if bytes.len() <= ID_MAX_BYTES => Ok(id.into()),
        Ok(_) => Err(Refusal::out_of_range_query("blockid")),
        Err(_) => Err(Refusal::invalid_query("blockid")),
    }
}

/// Lease, copy under way, and ids that are all of one length (Put Block, Azure Blob REST).
fn verify_place(request: &Request<'_>, container: &Container, id: &str) -> Result<(), Refusal> {
    let name = request.call.target.blob.as_str();
    if let Some(blob) = container.blobs.get(name) {
        conditions::verify_lease(request.call, Some(blob))?;
        if blob.is_pending() {
            return Err(Refusal::pending_copy());
        }
        if blob.kind != Kind::Block {
            return Err(super::kinds::wrong_kind());
        }
    }
    let Some(staged) = container.staged.get(name) else { return Ok(()) };
    if staged.keys().next().is_some_and(|other| other.len() != id.len()) {
        return Err(Refusal::new(400, "InvalidBlobOrBlock", "The specified blob or block content is invalid."));
    }
    if staged.len() >= MAX_UNCOMMITTED && !staged.contains_key(id) {
        let message = "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.";
        return Err(Refusal::new(409, "BlockCountExceedsLimit", message));
    }
    Ok(())
}

fn stage(container: &mut Container, name: &str, id: Box<str>, content: Content) {
    match container.staged.get_mut(name) {
        Some(staged) => drop(staged.insert(id, content)),
        None => drop(container.staged.insert(name.into(), [(id, content)].into())),
    }
}
