//! Proves that the copy is the source: the only maker of a `VerifiedCopy`.

use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use crate::failure::Failure;
use crate::model::{Asset, Content, Difference, Listing};

/// Evidence that all files are at the replica, identical. Files are registered and a locator made only with one of these.
#[derive(Debug)]
pub struct VerifiedCopy {
    listing: Listing,
}

impl VerifiedCopy {
    /// The files, as the source has them.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The totals for the event.
    pub fn content(&self) -> Content {
        self.listing.content()
    }
}

/// Does: lists both sites again and compares names, sizes, MD5, headers and metadata.
/// Safe to repeat because: it only reads.
/// Fails as: `Transient` when the source changed in mid-copy or a file is not identical (the next run copies it again),
/// `Permanent` when the replica holds files that the source has not.
pub async fn verify_copy(
    asset: &SourceAsset,
    replica: &Asset,
    storage: &Storage<'_>,
    sites: &Sites,
) -> Result<VerifiedCopy, Failure> {
    let listing = storage.source(&asset.asset).await?.list().await?;
    if let Some(name) = changed(&asset.listing, &listing) {
        let message = format!("'{name}' changed at the source while the asset was copied");
        return Err(Failure::transient("source-changed", message).at_site(&sites.source.name));
    }
    let there = storage.replica(replica).await?.list().await?;
    match listing.differences(&there).as_slice() {
        [] => Ok(VerifiedCopy { listing }),
        found => Err(classify_differences(found).at_site(&sites.replica.name)),
    }
}

fn changed(before: &Listing, after: &Listing) -> Option<String> {
    let gone = before.blobs().iter().find(|blob| after.find(&blob.name).is_none_or(|now| now.etag != blob.etag));
    let new = || after.blobs().iter().find(|blob| before.find(&blob.name).is_none());
    gone.or_else(new).map(|blob| blob.name.clone())
}

fn classify_differences(found: &[Difference]) -> Failure {
    const SHOWN: usize = 5;
    let shown = found.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let more = found.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let message = format!("replica is not its source: {shown}{more}");
    if found.iter().all(|difference| matches!(difference, Difference::Stray(_))) {
        let hint = "somebody else wrote to the replica's container, or files were removed at the source: delete them there, then replay";
        return Failure::permanent("replica-has-strays", message).with_hint(hint);
    }
    Failure::transient("replica-differs", message)
        .with_hint("every retry copies these files again; look at the storage account if it goes on")
}
