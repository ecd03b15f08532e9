//! Proves that the copy is the source: the only maker of a `VerifiedCopy`.

use sha2::{Digest, Sha256};

use super::budget::Budget;
use super::bytes::BytesComparison;
use super::engine::plan::{Order, Turn};
use super::join::Join;
use super::names::Sizes;
use super::progress::Progress;
use super::sites::Sites;
use super::source::SourceAsset;
use super::storage::Storage;
use crate::blob_store::Container;
use crate::failure::Failure;
use crate::model::{Asset, Content, Difference, Inventory, Pair, Tally};

/// So many differences are named, the others counted.
const SHOWN: usize = 5;

/// Both sites' listings are equal.
#[derive(Debug)]
pub struct EqualListings {
    content: Content,
    registrable: Sizes,
    state: u64,
}

/// Evidence that all files are at the replica, identical. Files are registered and a locator made only with one of these.
#[derive(Debug)]
pub struct VerifiedCopy {
    content: Content,
    registrable: Sizes,
}

impl VerifiedCopy {
    /// The totals for the event.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The files that the media service can register, with their sizes: nested blobs never are, as a file's name may hold
    /// no slash (contract ams-v2, sections 3 and 4.1).
    pub fn registrable(&self) -> &Sizes {
        &self.registrable
    }
}

impl EqualListings {
    /// The evidence, once as many bytes are compared as the settings ask for.
    pub async fn with_bytes(
        self,
        from: &Container,
        to: &Container,
        sites: &Sites,
        budget: Budget,
        progress: &Progress,
    ) -> Result<VerifiedCopy, Failure> {
        let Self { content, registrable, state } = self;
        BytesComparison { from, to, sites, progress, state, files: content.files }.run(budget).await?;
        Ok(VerifiedCopy { content, registrable })
    }
}

/// Does: lists both sites again and compares names, versions, sizes, MD5, headers and metadata; what was found complete
/// before anything was to be copied is not listed again. Then bytes, where the settings ask for it.
/// Safe to repeat because: it only reads, and empties copies with wrong bytes.
/// Fails as: `Transient` when the source changed in mid-copy or a file is not identical (the next run copies it again),
/// `Permanent` when the replica holds files that the source has not, `NeedsMoreTime` when the slice is over.
pub async fn verify_copy(
    asset: &mut SourceAsset,
    replica: &Asset,
    storage: &Storage<'_>,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<VerifiedCopy, Failure> {
    let (source, copy) = (storage.source(&asset.asset).await?, storage.replica(replica).await?);
    let equal = match asset.already.take() {
        Some(equal) => equal,
        None => {
            let join = Join::to_compare(&source, &copy);
            Comparison::for_registration().read(join).await?.verified(&asset.inventory, sites)?
        }
    };
    equal.with_bytes(&source, &copy, sites, budget, progress).await
}

/// Does: lists both sites and compares all media, before the manifests that name them are copied.
/// Fails as: `verify_copy`, but for what is at the replica only.
pub async fn verify_media(from: &Container, to: &Container, order: &dyn Order, sites: &Sites) -> Result<(), Failure> {
    let mut join = Join::to_compare(from, to);
    let mut found = Differences::default();
    while let Some(pair) = join.next().await? {
        let Some(blob) = pair.source().filter(|blob| order.turn(&blob.name) == Turn::Media) else { continue };
        if let Pair::Both(..) = pair
            && name_of_change(&pair).is_some()
        {
            return Err(changed(Some(&blob.name), sites));
        }
        found.extend(pair.difference());
    }
    if found.count > 0 { Err(found.failure().at_site(&sites.replica.name)) } else { Ok(()) }
}

fn changed(name: Option<&str>, sites: &Sites) -> Failure {
    let name = name.map_or_else(|| "a file".to_owned(), |name| format!("'{name}'"));
    let message = format!("{name} changed at the source while the asset was copied");
    Failure::transient("source-changed", message).at_site(&sites.source.name)
}

/// What both listings tell, read side by side.
#[derive(Debug, Default)]
pub struct Comparison {
    tally: Tally,
    /// Names and versions of both sites.
    state: Sha256,
    /// `None` where nobody will register files: a name needs some bytes of memory.
    registrable: Option<Sizes>,
    found: Differences,
    changed: Option<String>,
    incomplete: usize,
}

impl Comparison {
    /// One that remembers the names that a media service is to register.
    pub fn for_registration() -> Self {
        Self { registrable: Some(Sizes::default()), ..Self::default() }
    }

    /// Takes all names.
    pub async fn read(mut self, mut join: Join) -> Result<Self, Failure> {
        while let Some(pair) = join.next().await? {
            self.see(&pair);
        }
        Ok(self)
    }

    /// Takes the next name.
    pub fn see(&mut self, pair: &Pair) {
        for blob in pair.blobs() {
            self.state.update(format!("{}\t{}\n", blob.name, blob.etag));
        }
        if let Some(blob) = pair.source() {
            self.tally.add(blob);
            if let Some(registrable) = &mut self.registrable
                && !blob.name.contains('/')
            {
                registrable.insert(&blob.name, blob.size_bytes);
            }
        }
        let is_complete = matches!(pair, Pair::Both(ours, theirs) if ours.is_complete_in(theirs));
        self.incomplete += usize::from(!is_complete);
        self.found.extend(pair.difference());
        if self.changed.is_none() {
            self.changed = name_of_change(pair);
        }
    }

    /// What the source's blobs add up to; and the evidence where all of them are at the replica already, and nothing else.
    pub fn already(self) -> (Inventory, Option<EqualListings>) {
        let (inventory, is_complete) = (self.tally.inventory(), self.incomplete == 0);
        let (content, state) = (inventory.content.clone(), short(self.state));
        let registrable = self.registrable.unwrap_or_default();
        (inventory, is_complete.then_some(EqualListings { content, registrable, state }))
    }

    /// The evidence, where the source is still as it was `before` the copy, and the replica equal to it.
    pub fn verified(self, before: &Inventory, sites: &Sites) -> Result<EqualListings, Failure> {
        let now = self.tally.inventory();
        if now.versions != before.versions {
            return Err(changed(self.changed.as_deref(), sites));
        }
        if self.found.count > 0 {
            return Err(self.found.failure().at_site(&sites.replica.name));
        }
        let (registrable, state) = (self.registrable.unwrap_or_default(), short(self.state));
        Ok(EqualListings { content: now.content, registrable, state })
    }
}

fn short(digest: Sha256) -> u64 {
    digest.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The name of a file that was made, removed or changed at the source after it was copied, if this is one.
fn name_of_change(pair: &Pair) -> Option<String> {
    match pair {
        Pair::Source(blob) | Pair::Replica(blob) => Some(blob.name.clone()),
        Pair::Both(ours, theirs) => {
            let copied = theirs.copied_from.as_ref()?;
            (copied.etag != ours.etag).then(|| ours.name.clone())
        }
    }
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
