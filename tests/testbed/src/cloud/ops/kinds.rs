//! Append Block and Put Page: the two kinds of blobs that no encoder writes, but that some container may hold.

use super::Request;
use super::get::parse_range;
use super::put::change;
use crate::cloud::answer::Answer;
use crate::cloud::call::Call;
use crate::cloud::error::Refusal;
use crate::cloud::state::blob::Kind;
use crate::cloud::state::content::Content;

/// Page blobs come in pages of this size.
const PAGE_BYTES: u64 = 512;

/// What a page blob holds before its first page is written: zeros.
pub(super) fn empty_pages(call: &Call) -> Result<Content, Refusal> {
    let size = call.header("x-ms-blob-content-length").parse::<u64>().ok().filter(|size| size % PAGE_BYTES == 0);
    let size = size.ok_or_else(|| Refusal::invalid_header("x-ms-blob-content-length"))?;
    // this many at most: they are kept as bytes
    let size = usize::try_from(size).ok().filter(|size| *size <= 64 * 1024 * 1024);
    let size = size.ok_or_else(|| Refusal::invalid_header("x-ms-blob-content-length"))?;
    Ok(Content::bytes(vec![0; size].into()))
}

pub(super) fn wrong_kind() -> Refusal {
    Refusal::new(409, "InvalidBlobType", "The blob type is invalid for this operation.")
}

/// Append Block.
pub(super) fn append(request: &Request<'_>) -> Result<Answer, Refusal> {
    let mut offset = 0;
    let answer = change(request, 201, |blob| {
        if blob.kind != Kind::Append {
            return Err(wrong_kind());
        }
        offset = blob.content.size();
        blob.content = Content::concat([&blob.content, &Content::bytes(request.call.body.clone())]);
        Ok(())
    })?;
    Ok(answer.header("x-ms-blob-append-offset", &offset.to_string()))
}

/// Put Page, of pages to write.
pub(super) fn put_page(request: &Request<'_>) -> Result<Answer, Refusal> {
    let call = request.call;
    if !call.header("x-ms-page-write").eq_ignore_ascii_case("update") {
        return Err(Refusal::invalid_header("x-ms-page-write"));
    }
    let range = call.find_header("x-ms-range").unwrap_or_else(|| call.header("range"));
    change(request, 201, |blob| {
        if blob.kind != Kind::Page {
            return Err(wrong_kind());
        }
        let size = blob.content.size();
        let (first, last) = parse_range(range, size).ok_or_else(|| Refusal::invalid_header("Range"))??;
        let pages = Content::bytes(call.body.clone());
        if pages.size() != last - first + 1 || first % PAGE_BYTES != 0 {
            return Err(Refusal::new(400, "InvalidPageRange", "The page range specified is invalid."));
        }
        let old = &blob.content;
        blob.content = Content::concat([&old.slice(0, first), &pages, &old.slice(last + 1, size)]);
        Ok(())
    })
}
