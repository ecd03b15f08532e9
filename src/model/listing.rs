//! Lists of blobs and their pure difference. Never called a manifest: that is the HLS, DASH or `.ism` file.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Blob, Content, Difference};

/// The blobs of one container, in name order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    blobs: Vec<Blob>,
}

impl Listing {
    /// Takes blobs in any order.
    #[must_use]
    pub fn new(mut blobs: Vec<Blob>) -> Self {
        blobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        blobs.shrink_to_fit();
        Self { blobs }
    }

    /// The blobs, in name order.
    #[must_use]
    pub fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// Where in [`blobs`](Self::blobs) the one of this name is.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.blobs.binary_search_by(|blob| blob.name.as_str().cmp(name)).ok()
    }

    /// One blob by its name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Blob> {
        self.position(name).map(|at| &self.blobs[at])
    }

    /// Sum of the sizes in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size_bytes).sum()
    }

    /// The totals that the event carries.
    #[must_use]
    pub fn content(&self) -> Content {
        let mut digest = Sha256::new();
        for blob in &self.blobs {
            digest.update(format!("{}\t{}\t{}\n", blob.name, blob.size_bytes, blob.md5_text().unwrap_or_default()));
        }
        Content {
            files: self.blobs.len() as u64,
            bytes: self.bytes(),
            digest: hex(&digest.finalize()),
            generation: self.blobs.iter().filter_map(|blob| blob.last_modified).max(),
        }
    }

    /// Compares it with others that come one by one.
    #[must_use]
    pub fn comparison(&self) -> Comparison<'_> {
        Comparison { listing: self, met: vec![false; self.blobs.len()] }
    }

    /// Every way in which `replica` is not this listing; empty means equal in names, sizes, MD5, headers and metadata
    /// (our one key aside).
    #[must_use]
    pub fn differences(&self, replica: &Self) -> Vec<Difference> {
        let mut comparison = self.comparison();
        let mut found: Vec<_> = replica.blobs.iter().filter_map(|copy| comparison.difference(copy)).collect();
        found.extend(comparison.unmet().map(|blob| Difference::Missing(blob.name.clone())));
        found
    }
}

/// A listing against another, whose entries come in any order and need not be kept.
#[derive(Debug)]
pub struct Comparison<'a> {
    listing: &'a Listing,
    met: Vec<bool>,
}

impl<'a> Comparison<'a> {
    /// The blob of this name, which counts as met from now on.
    pub fn meet(&mut self, name: &str) -> Option<&'a Blob> {
        let at = self.listing.position(name)?;
        self.met[at] = true;
        Some(&self.listing.blobs[at])
    }

    /// The blobs that were not met, in name order.
    pub fn unmet(&self) -> impl Iterator<Item = &'a Blob> {
        self.listing.blobs.iter().zip(&self.met).filter(|(_, met)| !**met).map(|(blob, _)| blob)
    }

    /// The first way in which `copy` is not the blob of its name, which is met with that.
    pub fn difference(&mut self, copy: &Blob) -> Option<Difference> {
        match self.meet(&copy.name) {
            Some(blob) => blob.difference(copy),
            None => Some(Difference::Stray(copy.name.clone())),
        }
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
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::{BlobKind, METADATA_SOURCE_ETAG};

    fn blob(name: &str, size_bytes: u64, md5: Option<u8>) -> Blob {
        Blob {
            name: name.into(),
            size_bytes,
            kind: BlobKind::Block,
            etag: format!("\"{name}-1\""),
            last_modified: None,
            properties: Arc::default(),
            content_md5: md5.map(|byte| [byte; 16]),
            metadata: BTreeMap::new(),
            copy_status: None,
        }
    }

    #[test]
    fn a_copy_with_our_key_is_equal_and_every_other_change_is_named() {
        let source =
            Listing::new(vec![blob("b", 2, Some(1)), blob("a", 1, None), blob("c", 3, None), blob("d", 4, None)]);
        let mut copies = source.blobs().to_vec();
        copies[0].metadata.insert(METADATA_SOURCE_ETAG.into(), "\"a-1\"".into());
        assert_eq!(source.differences(&Listing::new(copies.clone())), []);

        copies[0].metadata.insert("cms".into(), "1".into());
        copies[1].content_md5 = Some([2; 16]);
        copies[2].size_bytes = 0;
        copies[3].name = "e".into();
        let found = source.differences(&Listing::new(copies));
        assert_eq!(
            found,
            [
                Difference::Property("a".into(), "metadata"),
                Difference::Md5("b".into()),
                Difference::Size("c".into(), 3, 0),
                Difference::Stray("e".into()),
                Difference::Missing("d".into()),
            ]
        );
    }

    #[test]
    fn the_digest_depends_on_content_and_not_on_order() {
        let one = Listing::new(vec![blob("a", 1, None), blob("b", 2, Some(1))]).content();
        let two = Listing::new(vec![blob("b", 2, Some(1)), blob("a", 1, None)]).content();
        assert_eq!(one, two);
        assert_eq!((one.files, one.bytes), (2, 3));
        assert_ne!(one.digest, Listing::new(vec![blob("a", 1, None), blob("b", 2, Some(2))]).content().digest);
    }
}
