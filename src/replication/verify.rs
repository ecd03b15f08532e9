//! Proves that the copy is the source: the only maker of a `VerifiedCopy`.

use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use crate::blob_store::Container;
use crate::failure::Failure;
use crate::model::{Asset, Content, Difference, Listing};

/// So many differences are named, the others counted.
const SHOWN: usize = 5;

/// Evidence that all files are at the replica, identical. Files are registered and a locator made only with one of these.
#[derive(Debug)]
pub struct VerifiedCopy<'a> {
    listing: &'a Listing,
}

impl VerifiedCopy<'_> {
    /// The files, as the source has them.
    pub fn listing(&self) -> &Listing {
        self.listing
    }

    /// The totals for the event.
    pub fn content(&self) -> Content {
        self.listing.content()
    }
}

/// Does: lists both sites again and compares names, versions, sizes, MD5, headers and metadata.
/// Safe to repeat because: it only reads.
/// Fails as: `Transient` when the source changed in mid-copy or a file is not identical (the next run copies it again),
/// `Permanent` when the replica holds files that the source has not.
pub async fn verify_copy<'a>(
    asset: &'a SourceAsset,
    replica: &Asset,
    storage: &Storage<'_>,
    sites: &Sites,
) -> Result<VerifiedCopy<'a>, Failure> {
    let listing = &asset.listing;
    if let Some(name) = changed(listing, &storage.source(&asset.asset).await?).await? {
        let message = format!("'{name}' changed at the source while the asset was copied");
        return Err(Failure::transient("source-changed", message).at_site(&sites.source.name));
    }
    let mut found = Differences::default();
    let mut comparison = listing.comparison();
    let see = |copy| found.extend(comparison.difference(&copy));
    storage.replica(replica).await?.for_each_blob(see).await?;
    found.extend(comparison.unmet().map(|blob| Difference::Missing(blob.name.clone())));
    if found.count == 0 { Ok(VerifiedCopy { listing }) } else { Err(found.failure().at_site(&sites.replica.name)) }
}

/// The first file that the source has no longer, or in another version, or that is new.
async fn changed(before: &Listing, source: &Container) -> Result<Option<String>, Failure> {
    let (mut comparison, mut first) = (before.comparison(), None);
    let see = |now: crate::model::Blob| {
        if comparison.meet(&now.name).is_none_or(|blob| blob.etag != now.etag) {
            first.get_or_insert(now.name);
        }
    };
    source.for_each_blob(see).await?;
    Ok(first.or_else(|| comparison.unmet().next().map(|blob| blob.name.clone())))
}

/// What differs, for people: the first few by name.
#[derive(Debug, Default)]
struct Differences {
    shown: Vec<String>,
    count: usize,
    strays: usize,
}

impl Extend<Difference> for Differences {
    fn extend<T: IntoIterator<Item = Difference>>(&mut self, found: T) {
        for difference in found {
            self.count += 1;
            self.strays += usize::from(matches!(difference, Difference::Stray(_)));
            if self.shown.len() < SHOWN {
                self.shown.push(difference.to_string());
            }
        }
    }
}

impl Differences {
    fn failure(&self) -> Failure {
        let more = self.count - self.shown.len();
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        let message = format!("replica is not its source: {}{more}", self.shown.join("; "));
        if self.strays == self.count {
            let hint = "somebody else wrote to the replica's container, or files were removed at the source: delete them there, then replay";
            return Failure::permanent("replica-has-strays", message).with_hint(hint);
        }
        Failure::transient("replica-differs", message)
            .with_hint("every retry copies these files again; look at the storage account if it goes on")
    }
}
