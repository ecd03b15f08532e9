//! Lists of blobs, read one after the other in the order of their names: what they add up to, and how two of them differ.
//! Never called a manifest: that is the HLS, DASH or `.ism` file.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Blob, Content, Difference};

/// What a listing adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The totals that the event carries.
    pub content: Content,
    /// Stands for the names and versions of all blobs: another value, another state of the asset.
    pub versions: [u8; 32],
}

/// Adds blobs up as they come, in the order of their names, and keeps none.
#[derive(Debug, Default)]
pub struct Tally {
    files: u64,
    bytes: u64,
    newest: Option<time::OffsetDateTime>,
    digest: Sha256,
    versions: Sha256,
}

impl Tally {
    /// Adds the next blob.
    pub fn add(&mut self, blob: &Blob) {
        self.files += 1;
        self.bytes += blob.size_bytes;
        self.newest = self.newest.max(blob.last_modified);
        let md5 = blob.md5_text().unwrap_or_default();
        self.digest.update(format!("{}\t{}\t{md5}\n", blob.name, blob.size_bytes));
        self.versions.update(format!("{}\t{}\n", blob.name, blob.etag));
    }

    /// What it came to.
    #[must_use]
    pub fn inventory(self) -> Inventory {
        let digest = self.digest.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Inventory {
            content: Content { files: self.files, bytes: self.bytes, digest, generation: self.newest },
            versions: self.versions.finalize().into(),
        }
    }
}

/// One name in two listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pair {
    /// At the source only.
    Source(Blob),
    /// At the replica only.
    Replica(Blob),
    /// At both: the source's blob, the replica's blob.
    Both(Blob, Blob),
}

impl Pair {
    /// Takes the first name of two listings in the order of names, of which these blobs are the next ones; what it leaves
    /// there belongs to a later name. `None` at the end of both.
    pub fn take(source: &mut Option<Blob>, replica: &mut Option<Blob>) -> Option<Self> {
        match (source.take(), replica.take()) {
            (Some(ours), Some(theirs)) if ours.name < theirs.name => {
                *replica = Some(theirs);
                Some(Self::Source(ours))
            }
            (Some(ours), Some(theirs)) if ours.name > theirs.name => {
                *source = Some(ours);
                Some(Self::Replica(theirs))
            }
            (Some(ours), Some(theirs)) => Some(Self::Both(ours, theirs)),
            (Some(ours), None) => Some(Self::Source(ours)),
            (None, Some(theirs)) => Some(Self::Replica(theirs)),
            (None, None) => None,
        }
    }

    /// The source's blob.
    #[must_use]
    pub fn source(&self) -> Option<&Blob> {
        match self {
            Self::Source(blob) | Self::Both(blob, _) => Some(blob),
            Self::Replica(_) => None,
        }
    }

    /// The blobs of this name.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let (one, other) = match self {
            Self::Source(blob) | Self::Replica(blob) => (blob, None),
            Self::Both(ours, theirs) => (ours, Some(theirs)),
        };
        [one].into_iter().chain(other)
    }

    /// The first way in which the replica's blob is not the source's: names, sizes, MD5, headers and metadata are compared
    /// (our one key aside).
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        match self {
            Self::Source(blob) => Some(Difference::Missing(blob.name.clone())),
            Self::Replica(blob) => Some(Difference::Stray(blob.name.clone())),
            Self::Both(ours, theirs) => ours.difference(theirs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CopiedFrom;

    fn blob(name: &str, size_bytes: u64, md5: Option<u8>) -> Blob {
        let (etag, content_md5) = (format!("\"{name}-1\""), md5.map(|byte| [byte; 16]));
        Blob { etag, content_md5, ..Blob::sample(name, size_bytes) }
    }

    fn differences(source: &[Blob], replica: &[Blob]) -> Vec<Difference> {
        let (mut ours, mut theirs) = (source.iter().cloned(), replica.iter().cloned());
        let (mut left, mut right) = (ours.next(), theirs.next());
        let mut found = Vec::new();
        while let Some(pair) = Pair::take(&mut left, &mut right) {
            found.extend(pair.difference());
            left = left.or_else(|| ours.next());
            right = right.or_else(|| theirs.next());
        }
        found
    }

    #[test]
    fn a_copy_with_our_key_is_equal_and_every_other_change_is_named() {
        let source = [blob("a", 1, None), blob("b", 2, Some(1)), blob("c", 3, None), blob("d", 4, None)];
        let mut copies = source.to_vec();
        copies[0].copied_from = Some(CopiedFrom::parse("\"a-1\" west"));
        assert_eq!(differences(&source, &copies), []);

        copies[0].metadata.insert("cms".into(), "1".into());
        copies[1].content_md5 = Some([2; 16]);
        copies[2].size_bytes = 0;
        copies[3].name = "e".into();
        assert_eq!(
            differences(&source, &copies),
            [
                Difference::Property("a".into(), "metadata"),
                Difference::Md5("b".into()),
                Difference::Size("c".into(), 3, 0),
                Difference::Missing("d".into()),
                Difference::Stray("e".into()),
            ]
        );
        assert_eq!(differences(&source[..1], &[]), [Difference::Missing("a".into())]);
        assert_eq!(differences(&[], &source[..1]), [Difference::Stray("a".into())]);
    }

    #[test]
    fn every_change_of_content_changes_the_digest_and_every_new_version_the_versions() {
        let inventory = |blobs: &[Blob]| {
            let mut tally = Tally::default();
            blobs.iter().for_each(|blob| tally.add(blob));
            tally.inventory()
        };
        let one = inventory(&[blob("a", 1, None), blob("b", 2, Some(1))]);
        assert_eq!((one.content.files, one.content.bytes), (2, 3));
        assert_ne!(one.content.digest, inventory(&[blob("a", 1, None), blob("b", 2, Some(2))]).content.digest);
        let touched = Blob { etag: "\"a-2\"".into(), ..blob("a", 1, None) };
        let two = inventory(&[touched, blob("b", 2, Some(1))]);
        assert_eq!(one.content, two.content);
        assert_ne!(one.versions, two.versions);
    }
}
