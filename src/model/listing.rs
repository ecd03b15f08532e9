//! Lists of blobs and their pure difference. Never called a manifest: that is the HLS, DASH or `.ism` file.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Content;

/// The one metadata key that we add at the replica: the source blob's ETag at the time of the copy.
pub const METADATA_SOURCE_ETAG: &str = "stream_replicator_source_etag";

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

/// What players and caches see of a blob besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Content-MD5, base64 as on the wire.
    pub content_md5: Option<String>,
}

/// One blob of a container.
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
    pub properties: BlobProperties,
    /// The owner's metadata, keys in lower case.
    pub metadata: BTreeMap<String, String>,
    /// The state of the last copy onto this blob, if one was made.
    pub copy_status: Option<CopyStatus>,
}

/// The blobs of one container, in name order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    blobs: Vec<Blob>,
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

impl Listing {
    /// Takes blobs in any order.
    #[must_use]
    pub fn new(mut blobs: Vec<Blob>) -> Self {
        blobs.sort_by(|a, b| a.name.cmp(&b.name));
        Self { blobs }
    }

    /// The blobs, in name order.
    #[must_use]
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// One blob by its name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Blob> {
        self.blobs.binary_search_by(|blob| blob.name.as_str().cmp(name)).ok().map(|at| &self.blobs[at])
    }

    /// Sum of the sizes in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size_bytes).sum()
    }

    /// The totals that the event carries.
    #[must_use]
    pub fn content(&self) -> Content {
        let mut lines = String::new();
        for blob in &self.blobs {
            let md5 = blob.properties.content_md5.as_deref().unwrap_or_default();
            let _ = writeln!(lines, "{}\t{}\t{md5}", blob.name, blob.size_bytes);
        }
        Content {
            files: self.blobs.len() as u64,
            bytes: self.bytes(),
            digest: hex(&Sha256::digest(lines.as_bytes())),
            generation: self.blobs.iter().filter_map(|blob| blob.last_modified).max(),
        }
    }

    /// Every way in which `replica` is not this listing; empty means equal in names, sizes, MD5, headers and metadata
    /// (our one key aside).
    #[must_use]
    pub fn differences(&self, replica: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for blob in &self.blobs {
            match replica.find(&blob.name) {
                None => found.push(Difference::Missing(blob.name.clone())),
                Some(copy) => found.extend(blob.difference(copy)),
            }
        }
        let strays = replica.blobs.iter().filter(|blob| self.find(&blob.name).is_none());
        found.extend(strays.map(|blob| Difference::Stray(blob.name.clone())));
        found
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
        let (ours, theirs) = (&self.properties, &copy.properties);
        if ours.content_md5.is_some() && ours.content_md5 != theirs.content_md5 {
            return Some(Difference::Md5(name()));
        }
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
        let metadata = (self.owned_metadata() != copy.owned_metadata()).then_some("metadata");
        property.or(metadata).map(|which| Difference::Property(name(), which))
    }

    /// Whether `copy` is a finished copy of exactly this version: equal, and either its MD5 says so or our own key does.
    #[must_use]
    pub fn is_complete_in(&self, copy: &Self) -> bool {
        let same_md5 = self.properties.content_md5.is_some();
        let same_version = copy.metadata.get(METADATA_SOURCE_ETAG).is_some_and(|etag| *etag == self.etag);
        (same_md5 || same_version) && self.difference(copy).is_none()
    }

    fn owned_metadata(&self) -> BTreeMap<&String, &String> {
        self.metadata.iter().filter(|(key, _)| *key != METADATA_SOURCE_ETAG).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str, size_bytes: u64, md5: Option<&str>) -> Blob {
        Blob {
            name: name.into(),
            size_bytes,
            kind: BlobKind::Block,
            etag: format!("\"{name}-1\""),
            last_modified: None,
            properties: BlobProperties { content_md5: md5.map(Into::into), ..BlobProperties::default() },
            metadata: BTreeMap::new(),
            copy_status: None,
        }
    }

    #[test]
    fn a_copy_with_our_key_is_equal_and_every_other_change_is_named() {
        let source =
            Listing::new(vec![blob("b", 2, Some("x")), blob("a", 1, None), blob("c", 3, None), blob("d", 4, None)]);
        let mut copies = source.blobs().to_vec();
        copies[0].metadata.insert(METADATA_SOURCE_ETAG.into(), "\"a-1\"".into());
        assert_eq!(source.differences(&Listing::new(copies.clone())), []);

        copies[0].metadata.insert("cms".into(), "1".into());
        copies[1].properties.content_md5 = Some("y".into());
        copies[2].size_bytes = 0;
        copies[3].name = "e".into();
        let found = source.differences(&Listing::new(copies));
        assert_eq!(
            found,
            [
                Difference::Property("a".into(), "metadata"),
                Difference::Md5("b".into()),
                Difference::Size("c".into(), 3, 0),
                Difference::Missing("d".into()),
                Difference::Stray("e".into()),
            ]
        );
    }

    #[test]
    fn a_blob_without_md5_is_complete_only_when_our_key_names_its_version() {
        let source = blob("a", 1, None);
        let mut copy = source.clone();
        assert!(!source.is_complete_in(&copy));
        copy.metadata.insert(METADATA_SOURCE_ETAG.into(), source.etag.clone());
        assert!(source.is_complete_in(&copy));
        copy.copy_status = Some(CopyStatus::Failed);
        assert!(!source.is_complete_in(&copy));
    }

    #[test]
    fn the_digest_depends_on_content_and_not_on_order() {
        let one = Listing::new(vec![blob("a", 1, None), blob("b", 2, Some("x"))]).content();
        let two = Listing::new(vec![blob("b", 2, Some("x")), blob("a", 1, None)]).content();
        assert_eq!(one, two);
        assert_eq!((one.files, one.bytes), (2, 3));
        assert_ne!(one.digest, Listing::new(vec![blob("a", 1, None), blob("b", 2, Some("y"))]).content().digest);
    }
}
