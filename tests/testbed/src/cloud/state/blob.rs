//! One blob: content, headers, metadata, committed blocks, lease and the copy that made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::content::Content;
use super::lease::Lease;
use crate::cloud::clock::Stamp;

/// A committed blob. It is replaced, never changed, so that readers may hold it without a lock.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) kind: Kind,
    pub(crate) content: Content,
    pub(crate) properties: Arc<Properties>,
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) metadata: Metadata,
    pub(crate) stamp: Stamp,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Ids and sizes in order, of one that was committed as a block list.
    pub(crate) blocks: Option<Arc<[Block]>>,
    pub(crate) lease: Option<Box<Lease>>,
    pub(crate) copy: Option<Arc<Copy>>,
}

/// The kinds of blobs, under the words of `x-ms-blob-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Block,
    Append,
    Page,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Block => "BlockBlob",
            Self::Append => "AppendBlob",
            Self::Page => "PageBlob",
        }
    }
}

/// The five headers that a blob keeps for its readers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_disposition: Option<String>,
}

/// Names in the case in which they were given, and values, in the order of the names.
pub(crate) type Metadata = Arc<[(Box<str>, Box<str>)]>;

/// A committed block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// As the client writes it: base64.
    pub(crate) id: Box<str>,
    pub(crate) size: u64,
}

/// The last Copy Blob whose target a blob was.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) id: String,
    /// The source's URL without its signature.
    pub(crate) source: String,
    pub(crate) status: CopyStatus,
    /// Bytes copied so far, of all.
    pub(crate) done: AtomicU64,
    pub(crate) total: u64,
    /// Seconds since 1970, unless pending.
    pub(crate) completed: Option<i64>,
}

/// The words of `x-ms-copy-status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyStatus {
    Pending,
    Success,
    Aborted,
    Failed,
}

impl CopyStatus {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Aborted => "aborted",
            Self::Failed => "failed",
        }
    }
}

impl Copy {
    /// The same copy, ended.
    pub(crate) fn ended(&self, status: CopyStatus, completed: i64) -> Arc<Self> {
        let done = if status == CopyStatus::Success { self.total } else { self.done.load(Ordering::Relaxed) };
        Arc::new(Self {
            id: self.id.clone(),
            source: self.source.clone(),
            status,
            done: AtomicU64::new(done),
            total: self.total,
            completed: Some(completed),
        })
    }

    /// Why it failed (`x-ms-copy-status-description`).
    pub(crate) fn description(&self) -> Option<&'static str> {
        (self.status == CopyStatus::Failed).then_some("500 InternalError \"Copy failed.\"")
    }

    /// `done/total`, as `x-ms-copy-progress` has it.
    pub(crate) fn progress(&self) -> String {
        format!("{}/{}", self.done.load(Ordering::Relaxed), self.total)
    }
}

impl Blob {
    /// A block blob.
    pub(crate) fn new(content: Content, properties: Arc<Properties>, metadata: Metadata, stamp: Stamp) -> Self {
        let (kind, created) = (Kind::Block, stamp.modified);
        Self { kind, content, properties, md5: None, metadata, stamp, created, blocks: None, lease: None, copy: None }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.status == CopyStatus::Pending)
    }
}
