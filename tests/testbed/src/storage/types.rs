//! What the blob storage client takes and gives: blob properties, bodies, write options, stored access policies.

use std::collections::BTreeMap;

use bytes::Bytes;
use time::OffsetDateTime;

/// A blob's properties, from a listing or from its own headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobInfo {
    /// Full name inside the container, `/` included.
    pub name: String,
    /// Length in bytes.
    pub size: u64,
    /// The entity tag as the service spells it there (quoted in headers, often bare in listings).
    pub etag: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-MD5`, base64.
    pub content_md5: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// User metadata without the `x-ms-meta-` prefix.
    pub metadata: BTreeMap<String, String>,
    /// `BlockBlob`, `PageBlob` or `AppendBlob`.
    pub blob_type: String,
    /// Time of the last write, as an HTTP date.
    pub last_modified: String,
}

/// A blob's properties with (some of) its bytes.
#[derive(Clone, Debug)]
pub struct BlobBody {
    /// Properties; `size` is that of the whole blob.
    pub info: BlobInfo,
    /// Length of the whole blob in bytes, also when a range was asked for.
    pub total_size: u64,
    /// The bytes asked for.
    pub bytes: Bytes,
}

/// How a blob is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutKind {
    /// A block blob in one request; the service hashes it and stores its MD5.
    #[default]
    Block,
    /// A block blob out of one staged block and a block list: it has no MD5 unless one is sent.
    Staged,
    /// A page blob.
    Page,
    /// An append blob.
    Append,
}

/// Properties of a blob to write.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// User metadata without the `x-ms-meta-` prefix.
    pub metadata: BTreeMap<String, String>,
    /// The kind of blob.
    pub blob_type: PutKind,
    /// Send the body's MD5 as `x-ms-blob-content-md5`.
    pub content_md5: bool,
}

/// A stored access policy of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its id, at most 64 characters.
    pub id: String,
    /// Permission letters in the service's order, for example `rl`.
    pub permissions: String,
    /// Not valid before.
    pub start: Option<OffsetDateTime>,
    /// Not valid after.
    pub expiry: OffsetDateTime,
}
