//! Put Block List and Get Block List.

use std::collections::BTreeMap;
use std::sync::Arc;

use roxmltree::Document;

use super::put::{md5_header, typed, written};
use super::{Request, conditions};
use crate::cloud::answer::Answer;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::Staged;
use crate::cloud::state::blob::{Blob, Block};
use crate::cloud::state::content::Content;
use crate::cloud::xml;

/// A blob has so many committed blocks at most.
const MAX_COMMITTED: usize = 50_000;

/// Where a list says that a block is to be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Latest,
    Committed,
    Uncommitted,
}

/// Put Block List: the blob has the headers and metadata of this request, and no others.
pub(super) fn put(request: &Request<'_>) -> Result<Answer, Refusal> {
    let (call, target) = (request.call, &request.call.target);
    if md5_header(call, "content-md5")?.is_some_and(|given| given != Content::bytes(call.body.clone()).md5()) {
        return Err(Refusal::md5_mismatch());
    }
    let wanted = parse(&call.body)?;
    let (properties, metadata) = (typed(call.properties(false)), call.metadata()?);
    let md5 = md5_header(call, "x-ms-blob-content-md5")?;
    request.account.with(&target.container, |container| {
        let old = container.blobs.get(target.blob.as_str()).map(AsRef::as_ref);
        conditions::verify_write(request, old)?;
        let (content, blocks) = assemble(&wanted, old, container.staged.get(target.blob.as_str()))?;
        let mut blob = Blob::new(content, properties, metadata, request.shared.clock.stamp());
        (blob.md5, blob.blocks) = (md5, Some(blocks));
        request.shared.rules.damage(target, &mut blob);
        Ok(written(201, &container.replace(&target.blob, blob)))
    })
}

fn parse(body: &[u8]) -> Result<Vec<(Place, Box<str>)>, Refusal> {
    let invalid = || Refusal::new(400, "InvalidXmlDocument", "XML specified is not syntactically valid.");
    let text = std::str::from_utf8(body).map_err(|_| invalid())?;
    let options = roxmltree::ParsingOptions { nodes_limit: 1_000_000, ..Default::default() };
    let document = Document::parse_with_options(text.trim_start_matches('\u{feff}'), options).map_err(|_| invalid())?;
    let root = document.root_element();
    if !root.has_tag_name("BlockList") {
        return Err(invalid());
    }
    let mut wanted = Vec::new();
    for entry in root.children().filter(roxmltree::Node::is_element) {
        let place = match entry.tag_name().name() {
            "Latest" => Place::Latest,
            "Committed" => Place::Committed,
            "Uncommitted" => Place::Uncommitted,
            _ => return Err(invalid()),
        };
        wanted.push((place, entry.text().unwrap_or_default().trim().into()));
    }
    if wanted.len() > MAX_COMMITTED {
        return Err(Refusal::new(400, "BlockListTooLong", "The block list may not contain more than 50,000 blocks."));
    }
    Ok(wanted)
}

fn assemble(
    wanted: &[(Place, Box<str>)],
    old: Option<&Blob>,
    staged: Option<&Staged>,
) -> Result<(Content, Arc<[Block]>), Refusal> {
    let mut committed = BTreeMap::new();
    // what no list asks for is not cut out
    if let Some(old) = old.filter(|_| wanted.iter().any(|(place, _)| *place != Place::Uncommitted)) {
        let mut first = 0;
        for block in old.blocks.iter().flat_map(|blocks| blocks.iter()) {
            committed.insert(block.id.as_ref(), (first, block.size));
            first += block.size;
        }
    }
    let (mut parts, mut blocks) = (Vec::with_capacity(wanted.len()), Vec::with_capacity(wanted.len()));
    for (place, id) in wanted {
        let new = staged.and_then(|staged| staged.get(id)).filter(|_| *place != Place::Committed).cloned();
        let kept = || {
            let (first, size) = committed.get(id.as_ref()).filter(|_| *place != Place::Uncommitted)?;
            old.map(|old| old.content.slice(*first, *size))
        };
        let invalid = || Refusal::new(400, "InvalidBlockList", "The specified block list is invalid.");
        let content = new.or_else(kept).ok_or_else(invalid)?;
        blocks.push(Block { id: id.clone(), size: content.size() });
        parts.push(content);
    }
    Ok((Content::concat(&parts), blocks.into()))
}

/// Get Block List.
pub(super) fn get(request: &Request<'_>) -> Result<Answer, Refusal> {
    let target = &request.call.target;
    let (with_committed, with_uncommitted) = match request.call.query.get("blocklisttype") {
        "" | "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        _ => return Err(Refusal::invalid_query("blocklisttype")),
    };
    request.account.with(&target.container, |container| {
        let (blob, staged) = (container.blobs.get(target.blob.as_str()), container.staged.get(target.blob.as_str()));
        if blob.is_none() && staged.is_none() {
            return Err(Refusal::blob_not_found());
        }
        conditions::verify_lease_of_read(request.call, blob.map(AsRef::as_ref))?;
        let mut body = String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        if with_committed {
            let blocks = blob.and_then(|blob| blob.blocks.as_deref()).unwrap_or_default();
            write(&mut body, "CommittedBlocks", blocks.iter().map(|block| (block.id.as_ref(), block.size)));
        }
        if with_uncommitted {
            let blocks = staged.into_iter().flatten();
            write(&mut body, "UncommittedBlocks", blocks.map(|(id, content)| (id.as_ref(), content.size())));
        }
        body.push_str("</BlockList>");
        let mut answer = Answer::new(200).xml(body);
        answer.set("x-ms-blob-content-length", &blob.map(|blob| blob.content.size()).unwrap_or_default().to_string());
        if let Some(blob) = blob {
            answer.set("etag", &blob.stamp.etag.quoted());
            answer.set("last-modified", &http_date(blob.stamp.modified));
        }
        Ok(answer)
    })
}

fn write<'a>(body: &mut String, list: &str, blocks: impl Iterator<Item = (&'a str, u64)>) {
    body.push_str(&format!("<{list}>"));
    for (id, size) in blocks {
        body.push_str("<Block>");
        xml::element(body, "Name", id);
        body.push_str(&format!("<Size>{size}</Size></Block>"));
    }
    body.push_str(&format!("</{list}>"));
}
