//! One blob as a listing shows it, and in what a copy of it may differ.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use time::OffsetDateTime;

use super::SiteName;

/// The one metadata key that we add at the replica: what the blob is a copy of, as [`CopiedFrom`] writes it.
pub const METADATA_SOURCE_ETAG: &str = "stream_replicator_source_etag";

/// What a blob of a replica is a copy of. Written as the ETag, a blank and the site: `"0x8DE2A" west`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedFrom {
    /// The version of the source's blob at the time of the copy.
    pub etag: String,
    /// The site that it was copied from; not known of copies that older versions have made.
    pub site: Option<SiteName>,
}

impl CopiedFrom {
    /// Reads the value of our metadata key.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let site = text.rsplit_once(' ').and_then(|(etag, site)| Some((etag, site.parse().ok()?)));
        match site {
            Some((etag, site)) => Self { etag: etag.to_owned(), site: Some(site) },
            None => Self { etag: text.to_owned(), site: None },
        }
    }
}

impl fmt::Display for CopiedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Some(site) => write!(f, "{} {site}", self.etag),
            None => f.write_str(&self.etag),
        }
    }
}

/// Azure's three kinds of blob; the media services stream only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// Block blob.
    Block,
    /// Page blob.
    Page,
    /// Append blob.
    Append,
}

/// Who may read a container without a signature (Create Container, Azure Blob REST, `x-ms-blob-public-access`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicAccess {
    /// Nobody.
    None,
    /// Everybody its blobs, whose names must be known.
    Blob,
    /// Everybody its blobs, and their list.
    Container,
}

/// The state of a server-side copy: Azure's four words (Copy Blob, `x-ms-copy-status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStatus {
    /// Under way.
    Pending,
    /// Done.
    Success,
    /// Ended by somebody; the target is empty.
    Aborted,
    /// Ended by the service; the target is empty.
    Failed,
}

/// What players and caches see of a blob besides its bytes and their MD5.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct BlobProperties {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Content-Language.
    pub content_language: Option<String>,
    /// Content-Disposition.
    pub content_disposition: Option<String>,
}

/// One blob of a container. Small, because an asset may have tens of thousands: what most of them have in common is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Full name, with its slashes.
    pub name: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Block, page or append.
    pub kind: BlobKind,
    /// The service's version of this blob, quotes as on the wire.
    pub etag: String,
    /// When its content or properties changed last.
    pub last_modified: Option<OffsetDateTime>,
    /// Headers.
    pub properties: Arc<BlobProperties>,
    /// Content-MD5, where it was set.
    pub content_md5: Option<[u8; 16]>,
    /// The owner's metadata, keys in lower case.
    pub metadata: BTreeMap<String, String>,
    /// Of a copy: its source, as our own key in the metadata tells it.
    pub copied_from: Option<CopiedFrom>,
    /// The state of the last copy onto this blob, if one was made.
    pub copy_status: Option<CopyStatus>,
}

/// One way in which a replica is not its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// At the source only.
    Missing(String),
    /// At the replica only.
    Stray(String),
    /// Sizes in bytes differ: source, replica.
    Size(String, u64, u64),
    /// Content-MD5 differs.
    Md5(String),
    /// Headers or metadata differ: which one.
    Property(String, &'static str),
    /// The replica's blob is not the product of a finished copy.
    Unfinished(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "'{name}' is missing"),
            Self::Stray(name) => write!(f, "'{name}' is not at the source"),
            Self::Size(name, source, replica) => write!(f, "'{name}' has {replica} bytes instead of {source}"),
            Self::Md5(name) => write!(f, "'{name}' has another MD5"),
            Self::Property(name, which) => write!(f, "'{name}' has another {which}"),
            Self::Unfinished(name) => write!(f, "'{name}' is not the result of a finished copy"),
        }
    }
}

impl Blob {
    /// The first way in which `copy` is not this blob.
    #[must_use]
    pub fn difference(&self, copy: &Self) -> Option<Difference> {
        let name = || self.name.clone();
        if matches!(copy.copy_status, Some(CopyStatus::Pending | CopyStatus::Aborted | CopyStatus::Failed)) {
            return Some(Difference::Unfinished(name()));
        }
        if self.size_bytes != copy.size_bytes {
            return Some(Difference::Size(name(), self.size_bytes, copy.size_bytes));
        }
        if self.content_md5.is_some() && self.content_md5 != copy.content_md5 {
            return Some(Difference::Md5(name()));
        }
        let (ours, theirs) = (&self.properties, &copy.properties);
        let property = [
            ("content type", &ours.content_type, &theirs.content_type),
            ("cache control", &ours.cache_control, &theirs.cache_control),
            ("content encoding", &ours.content_encoding, &theirs.content_encoding),
            ("content language", &ours.content_language, &theirs.content_language),
            ("content disposition", &ours.content_disposition, &theirs.content_disposition),
        ]
        .into_iter()
        .find(|(_, source, replica)| source != replica)
        .map(|(which, ..)| which);
        let metadata = (self.metadata != copy.metadata).then_some("metadata");
        property.or(metadata).map(|which| Difference::Property(name(), which))
    }

    /// Whether `copy` is a finished copy of exactly this version: equal, and either its MD5 says so or our own key does.
    #[must_use]
    pub fn is_complete_in(&self, copy: &Self) -> bool {
        let same_md5 = self.content_md5.is_some();
        let same_version = copy.copied_from.as_ref().is_some_and(|source| source.etag == self.etag);
        (same_md5 || same_version) && self.difference(copy).is_none()
    }

    /// Content-MD5 as on the wire: base64.
    #[must_use]
    pub fn md5_text(&self) -> Option<String> {
        self.content_md5.map(|md5| BASE64_STANDARD.encode(md5))
    }
}

#[cfg(test)]
impl Blob {
    /// A block blob of version `"1"` with nothing but a name and a size.
    pub fn sample(name: &str, size_bytes: u64) -> Self {
        Self {
            name: name.into(),
            size_bytes,
            kind: BlobKind::Block,
            etag: "\"1\"".into(),
            last_modified: None,
            properties: Arc::default(),
            content_md5: None,
            metadata: BTreeMap::new(),
            copied_from: None,
            copy_status: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_without_md5_is_complete_only_when_our_key_names_its_version() {
        let source = Blob::sample("a", 1);
        let mut copy = source.clone();
        assert!(!source.is_complete_in(&copy));
        copy.copied_from = Some(CopiedFrom::parse("\"1\" west"));
        assert!(source.is_complete_in(&copy));
        copy.copy_status = Some(CopyStatus::Failed);
        assert!(!source.is_complete_in(&copy));
    }
}
