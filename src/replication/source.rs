//! The two assets: the source's, refused where it cannot be replicated, and the replica's, found again by its mark.

use std::time::Duration;

use time::OffsetDateTime;

use super::sites::Site;
use super::storage::Storage;
use crate::failure::Failure;
use crate::model::{Asset, AssetFile, AssetMark, BlobKind, Listing, ReplicationJob};

/// How soon to look again for files that the encoder promised.
const EXPECTED_CHECK: Duration = Duration::from_secs(5);
/// How long an asset may be less than the encoder promised before that is taken for an error.
const EXPECTED_PATIENCE: time::Duration = time::Duration::minutes(10);

/// A source asset that can be replicated.
#[derive(Debug)]
pub struct SourceAsset {
    /// The asset.
    pub asset: Asset,
    /// Its blobs, before anything was copied.
    pub listing: Listing,
    /// Its registered files.
    pub files: Vec<AssetFile>,
    /// The name of its one server manifest (`.ism`).
    pub manifest: String,
}

/// Does: finds the asset, refuses what cannot be replicated, and finds its one server manifest. All that the source alone can
/// tell is looked at here, so that what is refused leaves nothing at the replica.
/// Safe to repeat because: it only reads.
/// Fails as: `NeedsMoreTime` while the encoder has promised more than is there; `Permanent` when the asset is gone, protected,
/// has blobs that cannot be streamed, or has not exactly one manifest to stream from.
pub async fn find_source_asset(
    job: &ReplicationJob,
    site: &Site,
    storage: &Storage<'_>,
) -> Result<SourceAsset, Failure> {
    let gone = || {
        Failure::permanent("asset-gone", format!("asset {} does not exist at the source", job.asset_id))
            .with_hint(
                "if it was deleted on purpose, discard this message; else check that the message names the right site",
            )
            .at_site(&site.name)
    };
    let asset = site.media.find_asset(&job.asset_id).await?.ok_or_else(gone)?;
    site.media.verify_replicable(&asset).await?;
    let listing = storage.source(&asset).await?.list().await?;
    let at_source = |failure: Failure| failure.at_site(&site.name);
    // First: an asset that is still being filled may lack its manifest for now.
    verify_expected(job, &listing).map_err(at_source)?;
    let files = site.media.list_files(&asset.id).await?;
    verify_clear(&files).map_err(at_source)?;
    let manifest = choose_manifest(&files).map_err(at_source)?;
    verify_blobs(&listing, &manifest, &asset.container).map_err(at_source)?;
    Ok(SourceAsset { asset, listing, files, manifest })
}

fn verify_expected(job: &ReplicationJob, source: &Listing) -> Result<(), Failure> {
    let Some(expected) = job.expected else { return Ok(()) };
    let (files, bytes) = (source.blobs().len() as u64, source.bytes());
    if expected.files.is_none_or(|wanted| wanted == files) && expected.bytes.is_none_or(|wanted| wanted == bytes) {
        return Ok(());
    }
    let wanted = |number: Option<u64>| number.map_or_else(|| "any number of".to_owned(), |number| number.to_string());
    let message = format!(
        "source has {files} files and {bytes} bytes where the message promises {} files and {} bytes",
        wanted(expected.files),
        wanted(expected.bytes)
    );
    if OffsetDateTime::now_utc() - job.received_at < EXPECTED_PATIENCE {
        return Err(Failure::needs_more_time("source-incomplete", message, EXPECTED_CHECK));
    }
    let hint = "check the encoder: it announced an asset that is not what it says; correct `expected` or encode again";
    Err(Failure::permanent("source-not-as-expected", message).with_hint(hint))
}

/// A file that is encrypted by itself would be copied, and could not be played (contract ams-v2, section 4.5).
fn verify_clear(files: &[AssetFile]) -> Result<(), Failure> {
    files.iter().find(|file| file.is_encrypted).map_or(Ok(()), |file| {
        Err(Failure::permanent("file-encrypted", format!("asset has an encrypted file, '{}'", file.name))
            .with_hint("encode it in the clear"))
    })
}

/// Streaming endpoints serve block blobs only (contract ams-v2, section 9), and no asset without its manifest's blob.
fn verify_blobs(listing: &Listing, manifest: &str, container: &str) -> Result<(), Failure> {
    if let Some(blob) = listing.blobs().iter().find(|blob| blob.kind != BlobKind::Block) {
        let kind = if blob.kind == BlobKind::Page { "page" } else { "append" };
        return Err(Failure::permanent("blob-kind-unsupported", format!("'{}' is a {kind} blob", blob.name))
            .with_hint("media services stream block blobs only: upload the file again as a block blob and replay"));
    }
    if listing.find(manifest).is_none() {
        let message = format!("'{manifest}' is registered but its blob is not in container '{container}'");
        return Err(Failure::permanent("manifest-blob-missing", message).with_hint(
            "the source asset itself cannot be streamed: upload the file again or encode again, then replay",
        ));
    }
    Ok(())
}

/// The primary `.ism`, else the only one; the ending in any case (contract ams-v2, sections 6 and 9).
fn choose_manifest(files: &[AssetFile]) -> Result<String, Failure> {
    let manifests: Vec<_> = files.iter().filter(|file| is_server_manifest(&file.name)).collect();
    let primary = manifests.iter().find(|file| file.is_primary);
    match (primary, manifests.as_slice()) {
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
    replica.media.ensure_replica_asset(&source.asset.name, mark, &alternate_id).await
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
        let mp4 = || file("a.mp4", true);
        let chosen = |files: &[AssetFile]| choose_manifest(files).map_err(|failure| failure.code);
        assert_eq!(chosen(&[mp4(), file("A.ISM", false), file("a.ismc", false)]), Ok("A.ISM".into()));
        assert_eq!(chosen(&[file("a.ism", false), file("b.ism", true)]), Ok("b.ism".into()));
        assert_eq!(chosen(&[file("a.ism", false), file("b.ism", false), mp4()]), Err("manifest-ambiguous"));
        assert_eq!(chosen(&[mp4()]), Err("manifest-missing"));
    }
}
