//! What to copy and in which order. Pure: two listings in, a plan out.

use crate::model::{Blob, Listing};

/// What to copy, in order.
#[derive(Debug, PartialEq)]
pub struct Plan<'a> {
    /// Media first, the largest first, so that the longest copy does not begin last.
    pub media: Vec<&'a Blob>,
    /// Manifests after all media are there, so that no player ever sees one whose media are missing.
    pub manifests: Vec<&'a Blob>,
    /// What is complete and identical already.
    pub skipped: Vec<&'a Blob>,
}

/// Compares the two sites' listings.
pub fn plan<'a>(source: &'a Listing, replica: &Listing) -> Plan<'a> {
    let complete = |blob: &&Blob| replica.find(&blob.name).is_some_and(|copy| blob.is_complete_in(copy));
    let (skipped, missing): (Vec<_>, Vec<_>) = source.blobs().iter().partition(complete);
    let (manifests, mut media): (Vec<_>, Vec<_>) = missing.into_iter().partition(|blob| is_manifest(&blob.name));
    media.sort_by_key(|blob| std::cmp::Reverse(blob.size_bytes));
    Plan { media, manifests, skipped }
}

fn is_manifest(name: &str) -> bool {
    const ENDINGS: [&str; 4] = [".ism", ".ismc", ".mpd", ".m3u8"];
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{BlobKind, BlobProperties};

    fn blob(name: &str, size_bytes: u64) -> Blob {
        Blob {
            name: name.into(),
            size_bytes,
            kind: BlobKind::Block,
            etag: "\"1\"".into(),
            last_modified: None,
            properties: BlobProperties { content_md5: Some("m".into()), ..BlobProperties::default() },
            metadata: BTreeMap::new(),
            copy_status: None,
        }
    }

    fn names(blobs: &[&Blob]) -> Vec<String> {
        blobs.iter().map(|blob| blob.name.clone()).collect()
    }

    #[test]
    fn large_media_first_manifests_last_complete_ones_not_at_all() {
        let source = Listing::new(vec![
            blob("a.mp4", 1),
            blob("b.mp4", 9),
            blob("m.ISM", 99),
            blob("t.jpg", 0),
            blob("x.mp4", 5),
        ]);
        let replica = Listing::new(vec![blob("x.mp4", 5), blob("a.mp4", 2)]);
        let plan = plan(&source, &replica);
        assert_eq!(names(&plan.media), ["b.mp4", "a.mp4", "t.jpg"]);
        assert_eq!((names(&plan.manifests), names(&plan.skipped)), (vec!["m.ISM".into()], vec!["x.mp4".into()]));
    }
}
