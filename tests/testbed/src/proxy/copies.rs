//! Copies that the proxy declares pending: Azurite has long finished them, but nobody is told.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;

use super::listing::Properties;

/// How a pending copy ends; the status words are those of `x-ms-copy-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOutcome {
    /// The blob is there.
    Success,
    /// The service gave up: a blob of no bytes with a description of the error.
    Failed,
    /// Somebody aborted it: a blob of no bytes.
    Aborted,
}

/// All copies that were made pending, by the path of their target (`/account/container/blob`, decoded).
#[derive(Default)]
pub(super) struct PendingCopies(BTreeMap<String, Copy>);

struct Copy {
    id: String,
    looks: u64,
    looks_left: Option<u32>,
    outcome: CopyOutcome,
}

/// The answer to Abort Copy Blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Abort {
    /// It is aborted.
    Done,
    /// Another copy is under way.
    OtherCopy,
}

impl Copy {
    /// What one look at the copy says.
    fn look(&mut self) -> &'static str {
        self.looks += 1;
        match &mut self.looks_left {
            None => "pending",
            Some(0) => match self.outcome {
                CopyOutcome::Success => "success",
                CopyOutcome::Failed => "failed",
                CopyOutcome::Aborted => "aborted",
            },
            Some(left) => {
                *left -= 1;
                "pending"
            }
        }
    }
}

const FAILURE: &str = "500 InternalError \"Copy failed.\"";

/// A path as the key of a copy.
pub(super) fn key(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

impl PendingCopies {
    /// A copy under the id that Azurite gave it.
    pub(super) fn start(&mut self, path: &str, id: String, looks: Option<u32>, outcome: CopyOutcome) {
        self.0.insert(key(path), Copy { id, looks: 0, looks_left: looks, outcome });
    }

    /// Whether a copy to this blob still runs, without counting as a look.
    pub(super) fn is_pending(&self, path: &str) -> bool {
        self.0.get(&key(path)).is_some_and(|copy| copy.looks_left != Some(0))
    }

    /// Abort Copy Blob, for one that is pending.
    pub(super) fn abort(&mut self, path: &str, id: &str) -> Abort {
        match self.0.get_mut(&key(path)) {
            Some(copy) if copy.id == id => {
                (copy.looks_left, copy.outcome) = (Some(0), CopyOutcome::Aborted);
                Abort::Done
            }
            _ => Abort::OtherCopy,
        }
    }

    /// The blob was written anew or deleted.
    pub(super) fn forget(&mut self, path: &str) {
        self.0.remove(&key(path));
    }

    /// Makes the headers of an answer about this blob (Get Blob, Get Blob Properties) say how its copy stands. True
    /// when the blob is empty by now, whatever Azurite has.
    pub(super) fn look_at_headers(&mut self, path: &str, headers: &mut HeaderMap) -> bool {
        let Some(copy) = self.0.get_mut(&key(path)) else { return false };
        let status = copy.look();
        headers.insert("x-ms-copy-status", HeaderValue::from_static(status));
        if status == "failed" {
            headers.insert("x-ms-copy-status-description", HeaderValue::from_static(FAILURE));
        }
        if status == "pending" {
            headers.remove("x-ms-copy-completion-time");
            // a byte for each look: it gets on, and never ends
            let size = headers.get(header::CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok());
            let progress = size.map(|size: u64| format!("{}/{size}", copy.looks.min(size.saturating_sub(1))));
            match progress.and_then(|progress| HeaderValue::from_str(&progress).ok()) {
                Some(progress) => headers.insert("x-ms-copy-progress", progress),
                None => headers.remove("x-ms-copy-progress"),
            };
        }
        let is_empty = matches!(status, "failed" | "aborted");
        if is_empty {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            headers.remove("content-md5");
            headers.remove("x-ms-copy-progress");
        }
        is_empty
    }

    /// The same for a blob in the list of `container` (`/account/container`). Copy properties are shown to those who ask
    /// with `include=copy` (List Blobs, Azure Blob REST).
    pub(super) fn look_at_properties(&mut self, container: &str, name: &str, with_copies: bool) -> Option<Properties> {
        let copy = self.0.get_mut(&format!("{}/{name}", key(container)))?;
        let status = copy.look();
        let mut properties = Properties::new();
        properties.insert("CopyStatus".to_owned(), with_copies.then(|| status.to_owned()));
        if status != "success" {
            properties.insert("CopyCompletionTime".to_owned(), None);
            properties.insert("CopyProgress".to_owned(), None);
        }
        if matches!(status, "failed" | "aborted") {
            properties.insert("Content-Length".to_owned(), Some("0".to_owned()));
            properties.insert("Content-MD5".to_owned(), None);
            let description = (status == "failed" && with_copies).then(|| FAILURE.to_owned());
            properties.insert("CopyStatusDescription".to_owned(), description);
        }
        Some(properties)
    }

    /// Whether any copy is known, so that lists have to be read at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
