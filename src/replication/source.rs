//! The two assets: the source's, refused where it cannot be replicated, and the replica's, found again by its mark.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::join::{Join, Kept, Reading};
use super::names::MimeTypes;
use super::sites::{Site, SiteStorage, Sites};
use super::storage::Storage;
use super::verify::{Comparison, EqualListings};
use crate::blob_store::Container;
use crate::failure::Failure;
use crate::model::{Asset, AssetFile, AssetMark, BlobKind, Content, Inventory, ReplicationJob};

/// How soon to look again for files that the encoder promised.
const EXPECTED_CHECK: Duration = Duration::from_secs(5);
/// How long an asset may be less than the encoder promised before that is taken for an error.
const EXPECTED_PATIENCE: time::Duration = time::Duration::minutes(10);

/// A source asset that can be replicated.
#[derive(Debug)]
pub struct SourceAsset {
    /// The asset.
    pub asset: Asset,
    /// What its blobs add up to, before anything was copied.
    pub inventory: Inventory,
    /// What was seen of the blobs before anything was copied, to be used once.
    pub known: Option<Kept>,
    /// Where all of them are at the replica already.
    pub already: Option<EqualListings>,
    /// Its registered files.
    pub files: SourceFiles,
}

/// What the registered files of a source asset tell.
#[derive(Debug)]
pub struct SourceFiles {
    /// The name of the one server manifest (`.ism`).
    pub manifest: String,
    /// The name of the primary file; the manifest's, where none is primary.
    pub primary: String,
    /// The MIME types of those that have one.
    pub mime_types: MimeTypes,
}

/// Does: finds the asset, refuses what cannot be replicated, and finds its one server manifest. All that the source alone can
/// tell is looked at here, so that what is refused leaves nothing at the replica.
/// Safe to repeat because: it only reads.
/// Fails as: `NeedsMoreTime` while the encoder has promised more than is there; `Permanent` when the asset is gone, protected,
/// has blobs that cannot be streamed, or has not exactly one manifest to stream from.
pub async fn find_source_asset(
    job: &ReplicationJob,
    sites: &Sites,
    storage: &Storage<'_>,
) -> Result<SourceAsset, Failure> {
    let site = &sites.source;
    let gone = || {
        Failure::permanent("asset-gone", format!("asset {} does not exist at the source", job.asset_id))
            .with_hint(
                "if it was deleted on purpose, discard this message; else check that the message names the right site",
            )
            .at_site(&site.name)
    };
    let asset = site.media()?.find_asset(&job.asset_id).await?.ok_or_else(gone)?;
    site.media()?.verify_replicable(&asset).await?;
    let replica = find_replica(job, sites, storage).await?;
    let looked = BlobFacts::look(&storage.source(&asset).await?, replica.as_ref()).await;
    let blobs = looked.map_err(|failure| told_as(failure, sites, super::progress::COPY_STEP))?;
    let at_source = |failure: Failure| failure.at_site(&site.name);
    // First: an asset that is still being filled may lack its manifest for now.
    verify_expected(job, &blobs.inventory.content).map_err(at_source)?;
    let files = look_at_files(&asset, site).await?;
    blobs.verify(&files.manifest, &asset.container).map_err(at_source)?;
    Ok(SourceAsset { asset, inventory: blobs.inventory, known: Some(blobs.known), already: blobs.already, files })
}

/// The container of a replica that an earlier run has made. It is listed beside the source's, so that one reading of both
/// tells when nothing is left to be copied. Not where listing needs a SAS locator: none is made for a mere look.
async fn find_replica(
    job: &ReplicationJob,
    sites: &Sites,
    storage: &Storage<'_>,
) -> Result<Option<Container>, Failure> {
    let SiteStorage::Key(_) = sites.replica.storage else { return Ok(None) };
    let mark = AssetMark { source: job.source.clone(), asset_id: job.asset_id.clone() };
    let found = sites.replica.media()?.find_replica_asset(&mark).await;
    match found.map_err(|failure| told_as(failure, sites, "ensure_replica_asset"))? {
        Some(replica) => storage.replica(&replica).await.map(Some),
        None => Ok(None),
    }
}

/// What fails at the replica's site is told as the failure of the step that would have asked the same there.
fn told_as(failure: Failure, sites: &Sites, step: &'static str) -> Failure {
    if failure.site.as_ref() == Some(&sites.replica.name) { failure.at_step(step) } else { failure }
}

/// What one reading of the blobs tells.
struct BlobFacts {
    inventory: Inventory,
    known: Kept,
    already: Option<EqualListings>,
    odd: Option<(String, BlobKind)>,
    manifests: BTreeSet<String>,
}

impl BlobFacts {
    async fn look(source: &Container, replica: Option<&Container>) -> Result<Self, Failure> {
        let theirs = replica.map_or_else(Reading::nothing, Reading::of_begun);
        let mut join = Join::new(Reading::of(source), theirs);
        let mut known = if replica.is_some() { Kept::of_both() } else { Kept::of_source() };
        let mut comparison = Comparison::for_registration();
        let (mut odd, mut manifests) = (None, BTreeSet::new());
        while let Some(pair) = join.next().await? {
            comparison.see(&pair);
            if let Some(blob) = pair.source() {
                if blob.kind != BlobKind::Block {
                    odd.get_or_insert_with(|| (blob.name.clone(), blob.kind));
                }
                if is_server_manifest(&blob.name) {
                    manifests.insert(blob.name.clone());
                }
            }
            known.add(pair);
        }
        let (inventory, already) = comparison.already();
        Ok(Self { inventory, known, already, odd, manifests })
    }

    /// Streaming endpoints serve block blobs only (contract ams-v2, section 9), and no asset without its manifest's blob.
    fn verify(&self, manifest: &str, container: &str) -> Result<(), Failure> {
        if let Some((name, kind)) = &self.odd {
            let kind = if *kind == BlobKind::Page { "page" } else { "append" };
            return Err(Failure::permanent("blob-kind-unsupported", format!("'{name}' is a {kind} blob")).with_hint(
                "media services stream block blobs only: upload the file again as a block blob and replay",
            ));
        }
        if !self.manifests.contains(manifest) {
            let message = format!("'{manifest}' is registered but its blob is not in container '{container}'");
            return Err(Failure::permanent("manifest-blob-missing", message).with_hint(
                "the source asset itself cannot be streamed: upload the file again or encode again, then replay",
            ));
        }
        Ok(())
    }
}

/// What the message promises must be there.
pub fn verify_expected(job: &ReplicationJob, source: &Content) -> Result<(), Failure> {
    let Some(expected) = job.expected else { return Ok(()) };
    let (files, bytes) = (source.files, source.bytes);
    if expected.files.is_none_or(|wanted| wanted == files) && expected.bytes.is_none_or(|wanted| wanted == bytes) {
        return Ok(());
    }
    let wanted = |number: Option<u64>| number.map_or_else(|| "any number of".to_owned(), |number| number.to_string());
    let message = format!(
        "source has {files} files and {bytes} bytes where the message promises {} files and {} bytes",
        wanted(expected.files),
        wanted(expected.bytes)
    );
    let hint = "check the encoder: it announced an asset that is not what it says; correct `expected` or encode again";
    Err(incomplete(job.received_at, ["source-incomplete", "source-not-as-expected"], message).with_hint(hint))
}

/// What may still be on its way for now is waited for; after a while it is an error. The codes for both.
pub fn incomplete(received_at: OffsetDateTime, [now, later]: [&'static str; 2], message: String) -> Failure {
    if OffsetDateTime::now_utc() - received_at < EXPECTED_PATIENCE {
        return Failure::needs_more_time(now, message, EXPECTED_CHECK);
    }
    Failure::permanent(later, message)
}

/// Reads all files and keeps what the replica needs of them.
async fn look_at_files(asset: &Asset, site: &Site) -> Result<SourceFiles, Failure> {
    let mut pages = site.media()?.files(&asset.id);
    let (mut manifests, mut primary, mut mime_types) = (Vec::new(), None, MimeTypes::default());
    while let Some(page) = pages.next().await? {
        for file in page {
            verify_clear(&file).map_err(|failure| failure.at_site(&site.name))?;
            if let Some(mime_type) = &file.mime_type {
                mime_types.insert(&file.name, mime_type);
            }
            if file.is_primary {
                primary.get_or_insert_with(|| file.name.clone());
            }
            if is_server_manifest(&file.name) {
                manifests.push(file);
            }
        }
    }
    let manifest = choose_manifest(&manifests).map_err(|failure| failure.at_site(&site.name))?;
    let primary = primary.unwrap_or_else(|| manifest.clone());
    Ok(SourceFiles { manifest, primary, mime_types })
}

/// A file that is encrypted by itself would be copied, and could not be played (contract ams-v2, section 4.5).
fn verify_clear(file: &AssetFile) -> Result<(), Failure> {
    if !file.is_encrypted {
        return Ok(());
    }
    Err(Failure::permanent("file-encrypted", format!("asset has an encrypted file, '{}'", file.name))
        .with_hint("encode it in the clear"))
}

/// The primary `.ism`, else the only one; the ending in any case (contract ams-v2, sections 6 and 9).
fn choose_manifest(manifests: &[AssetFile]) -> Result<String, Failure> {
    let primary = manifests.iter().find(|file| file.is_primary);
    match (primary, manifests) {
        (Some(file), _) | (None, [file]) => Ok(file.name.clone()),
        (None, []) => Err(Failure::permanent(
            "manifest-missing",
            "asset has no .ism file, so nothing can be streamed from it",
        )
        .with_hint(
            "only multi-bitrate output assets can be replicated: check the encoding preset, or register the .ism file",
        )),
        (None, several) => {
            let names = several.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::permanent(
                "manifest-ambiguous",
                format!("asset has several .ism files and none is primary: {names}"),
            )
            .with_hint("mark the one to be streamed as the primary file (IsPrimary) and replay this message"))
        }
    }
}

fn is_server_manifest(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".ism")
}

/// Does: finds the replica asset by our mark, or makes it: same name, unencrypted, the source's alternate id behind the mark.
/// Safe to repeat because: the mark finds what an earlier run made; of two made in a race one stays.
/// Fails as: what the media service answers.
pub async fn ensure_replica_asset(mark: &AssetMark, source: &SourceAsset, replica: &Site) -> Result<Asset, Failure> {
    let alternate_id = mark.alternate_id(source.asset.alternate_id.as_deref());
    replica.media()?.ensure_replica_asset(&source.asset.name, mark, &alternate_id).await
}

/// What tells the replica of this source asset from every other asset.
pub fn mark(job: &ReplicationJob, source: &SourceAsset) -> AssetMark {
    AssetMark { source: job.source.clone(), asset_id: source.asset.id.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, is_primary: bool) -> AssetFile {
        AssetFile {
            id: name.into(),
            name: name.into(),
            size_bytes: 1,
            is_primary,
            mime_type: None,
            is_encrypted: false,
        }
    }

    #[test]
    fn the_primary_decides_and_the_only_one_needs_no_mark() {
        let chosen = |files: &[AssetFile]| choose_manifest(files).map_err(|failure| failure.code);
        assert_eq!(chosen(&[file("A.ISM", false)]), Ok("A.ISM".into()));
        assert_eq!(chosen(&[file("a.ism", false), file("b.ism", true)]), Ok("b.ism".into()));
        assert_eq!(chosen(&[file("a.ism", false), file("b.ism", false)]), Err("manifest-ambiguous"));
        assert_eq!(chosen(&[]), Err("manifest-missing"));
        assert!(is_server_manifest("A.ISM") && !is_server_manifest("a.ismc"));
    }
}
