//! The source's files, refused where they cannot be replicated.

use std::sync::Arc;

use super::place::Place;
use crate::failure::Failure;
use crate::manifests::Manifest;
use crate::model::{Blob, BlobKind, Inventory, PublicAccess, ReplicationJob};
use crate::replication::join::{Join, Kept, Reading};
use crate::replication::names::Names;
use crate::replication::sites::Sites;
use crate::replication::source::verify_expected;
use crate::replication::verify::{Comparison, EqualListings};

/// So many manifests may one asset have.
const MOST_MANIFESTS: usize = 20_000;
/// So many files for progressive playback are announced.
const MOST_PROGRESSIVE: usize = 100;

/// What lies at the source, and that it can be replicated.
#[derive(Debug)]
pub struct Packaged {
    /// What its files add up to, before anything was copied.
    pub inventory: Inventory,
    /// What was seen of the files before anything was copied, to be used once.
    pub known: Option<Kept>,
    /// Where all of them are at the replica already.
    pub already: Option<EqualListings>,
    /// Who may read the source's container.
    pub access: PublicAccess,
    /// Who may read the replica's; `None`: there is none yet.
    pub replica_access: Option<PublicAccess>,
    /// All manifests among the files.
    pub manifests: Vec<Blob>,
    /// The names of all files.
    pub names: Arc<Names>,
    /// The first files that can be played while they are loaded.
    pub progressive: Vec<String>,
}

/// Does: lists both sites. All that the source alone can tell is looked at here, so that what is refused leaves nothing at
/// the replica.
/// Safe to repeat because: it only reads.
/// Fails as: `NeedsMoreTime` while the encoder has promised more than is there; `Permanent` when there is nothing, or blobs
/// that cannot be copied.
pub async fn find_source_asset(job: &ReplicationJob, place: &Place, sites: &Sites) -> Result<Packaged, Failure> {
    let gone = |what: &str| {
        let message = format!("there is no {what} '{}' at the source", place.location);
        Failure::permanent("asset-gone", message)
            .with_hint("if it was deleted on purpose, discard this message; else check that the message names the right site, container and prefix")
            .at_site(&sites.source.name)
    };
    let looks = futures::future::try_join(place.from.find_access(), place.to.find_access());
    let (access, replica_access) = looks.await?;
    let access = access.ok_or_else(|| gone("container"))?;
    let at_source = |failure: Failure| failure.at_site(&sites.source.name);
    let asset = look(place, access, replica_access, at_source).await?;
    verify_expected(job, &asset.inventory.content).map_err(at_source)?;
    if asset.inventory.content.files == 0 {
        return Err(gone("file in"));
    }
    if asset.manifests.len() > MOST_MANIFESTS {
        let message = format!("'{}' has more than {MOST_MANIFESTS} manifests", place.location);
        let hint = "announce each film on its own, with the folder that it is in as `prefix`";
        return Err(at_source(Failure::permanent("too-many-manifests", message).with_hint(hint)));
    }
    Ok(asset)
}

async fn look(
    place: &Place,
    access: PublicAccess,
    replica_access: Option<PublicAccess>,
    at_source: impl Fn(Failure) -> Failure,
) -> Result<Packaged, Failure> {
    let replica = if replica_access.is_some() { Reading::of_begun(&place.to) } else { Reading::nothing() };
    let mut join = Join::new(Reading::of(&place.from), replica);
    let (mut comparison, mut known) = (Comparison::default(), Kept::of_both());
    let (mut names, mut manifests, mut progressive) = (Names::default(), Vec::new(), Vec::new());
    while let Some(pair) = join.next().await? {
        comparison.see(&pair);
        if let Some(blob) = pair.source() {
            verify_kind(blob).map_err(&at_source)?;
            names.insert(&blob.name);
            let content_type = blob.properties.content_type.as_deref();
            if Manifest::is_one(&blob.name, content_type) {
                if manifests.len() <= MOST_MANIFESTS {
                    manifests.push(blob.clone());
                }
            } else if progressive.len() < MOST_PROGRESSIVE && is_progressive(&blob.name) {
                progressive.push(blob.name.clone());
            }
        }
        known.add(pair);
    }
    let (inventory, already) = comparison.already();
    names.close();
    let names = Arc::new(names);
    Ok(Packaged { inventory, known: Some(known), already, access, replica_access, manifests, names, progressive })
}

fn verify_kind(blob: &Blob) -> Result<(), Failure> {
    let kind = match blob.kind {
        BlobKind::Block => return Ok(()),
        BlobKind::Page => "page",
        BlobKind::Append => "append",
    };
    Err(Failure::permanent("blob-kind-unsupported", format!("'{}' is a {kind} blob", blob.name))
        .with_hint("only block blobs can be copied: upload the file again as a block blob and replay"))
}

/// Files that players take as they are.
fn is_progressive(name: &str) -> bool {
    const ENDINGS: [&str; 7] = [".mp4", ".m4v", ".mov", ".webm", ".mp3", ".m4a", ".aac"];
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
