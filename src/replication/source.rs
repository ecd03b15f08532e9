//! The two assets: the source's, refused where it cannot be replicated, and the replica's, found again by its mark.

use super::sites::Site;
use crate::failure::Failure;
use crate::model::{Asset, AssetFile, AssetMark, ReplicationJob};

/// A source asset that can be replicated.
#[derive(Debug)]
pub struct SourceAsset {
    /// The asset.
    pub asset: Asset,
    /// Its registered files.
    pub files: Vec<AssetFile>,
    /// The name of its one server manifest (`.ism`).
    pub manifest: String,
}

/// Does: finds the asset, refuses what cannot be replicated, and finds its one server manifest.
/// Safe to repeat because: it only reads.
/// Fails as: `Permanent` when the asset is gone, protected, or has not exactly one manifest to stream from.
pub async fn find_source_asset(job: &ReplicationJob, site: &Site) -> Result<SourceAsset, Failure> {
    let gone = || {
        Failure::permanent("asset-gone", format!("asset {} does not exist at the source", job.asset_id))
            .with_hint(
                "if it was deleted on purpose, discard this message; else check that the message names the right site",
            )
            .at_site(&site.name)
    };
    let asset = site.media.find_asset(&job.asset_id).await?.ok_or_else(gone)?;
    site.media.verify_replicable(&asset).await?;
    let files = site.media.list_files(&asset.id).await?;
    let manifest = choose_manifest(&files).map_err(|failure| failure.at_site(&site.name))?;
    Ok(SourceAsset { asset, files, manifest })
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
/// Safe to repeat because: the mark finds what an earlier run made; of two made in a race the older one stays.
/// Fails as: what the media service answers.
pub async fn ensure_replica_asset(
    job: &ReplicationJob,
    source: &SourceAsset,
    replica: &Site,
) -> Result<Asset, Failure> {
    let mark = AssetMark { source: job.source.clone(), asset_id: source.asset.id.clone() };
    let alternate_id = mark.alternate_id(source.asset.alternate_id.as_deref());
    replica.media.ensure_replica_asset(&source.asset.name, &mark, &alternate_id).await
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
