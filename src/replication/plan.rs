//! What to copy and in which order. Pure: two listings in, a plan out.

use crate::failure::Failure;
use crate::model::{Blob, BlobKind, Listing};

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
///
/// # Errors
/// `Permanent` when a source blob is not a block blob: streaming endpoints serve no others (contract ams-v2, section 9).
pub fn plan<'a>(source: &'a Listing, replica: &Listing) -> Result<Plan<'a>, Failure> {
    if let Some(blob) = source.blobs().iter().find(|blob| blob.kind != BlobKind::Block) {
        let kind = if blob.kind == BlobKind::Page { "page" } else { "append" };
        return Err(Failure::permanent("blob-kind-unsupported", format!("'{}' is a {kind} blob", blob.name))
            .with_hint("media services stream block blobs only: upload the file again as a block blob and replay"));
    }
    let complete = |blob: &&Blob| replica.find(&blob.name).is_some_and(|copy| blob.is_complete_in(copy));
    let (skipped, missing): (Vec<_>, Vec<_>) = source.blobs().iter().partition(complete);
    let (manifests, mut media): (Vec<_>, Vec<_>) = missing.into_iter().partition(|blob| is_manifest(&blob.name));
    media.sort_by_key(|blob| std::cmp::Reverse(blob.size_bytes));
    Ok(Plan { media, manifests, skipped })
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
    use crate::model::BlobProperties;

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
        let plan = plan(&source, &replica).unwrap();
        assert_eq!(names(&plan.media), ["b.mp4", "a.mp4", "t.jpg"]);
        assert_eq!((names(&plan.manifests), names(&plan.skipped)), (vec!["m.ISM".into()], vec!["x.mp4".into()]));
    }

    #[test]
    fn a_page_blob_is_refused_by_name() {
        let page = Blob { kind: BlobKind::Page, ..blob("disk.vhd", 512) };
        let failure = plan(&Listing::new(vec![page]), &Listing::default()).unwrap_err();
        assert_eq!((failure.kind.name(), failure.code), ("permanent", "blob-kind-unsupported"));
        assert!(failure.message.contains("disk.vhd"));
    }
}
