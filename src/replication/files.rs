//! Registers the copied files with the replica's media service, described as at the source.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::budget::Budget;
use super::sites::Site;
use super::source::SourceAsset;
use super::verify::VerifiedCopy;
use crate::failure::Failure;
use crate::model::{Asset, AssetFile, Blob};

/// How soon to look again for files that the service has not registered yet.
const REGISTRATION_CHECK: Duration = Duration::from_secs(5);
/// Calls to the media service at once: one asset of many files must not get the whole account throttled.
const CALLS_AT_ONCE: usize = 8;

/// Evidence that the replica asset is complete for its media service. A locator is made only with one of these.
#[derive(Debug)]
pub struct RegisteredFiles {
    asset_id: String,
}

impl RegisteredFiles {
    /// The replica asset.
    pub fn asset_id(&self) -> &str {
        &self.asset_id
    }
}

/// Does: registers the files, checks that the registered set equals the blobs, then sets MIME types and, last, the primary file.
/// Safe to repeat because: it registers only when names are missing and describes only what differs.
/// Fails as: `NeedsMoreTime` while the service has not registered all, `Permanent` when it registered something else.
pub async fn register_files(
    source: &SourceAsset,
    replica: &Asset,
    verified: &VerifiedCopy<'_>,
    site: &Site,
    budget: Budget,
) -> Result<RegisteredFiles, Failure> {
    let mut files = site.media.list_files(&replica.id).await?;
    if compare(verified, &files).is_err() {
        register(verified, replica, site, budget).await?;
        files = site.media.list_files(&replica.id).await?;
    }
    compare(verified, &files).map_err(|failure| failure.at_site(&site.name))?;
    describe(changes(source, &files), site, budget).await?;
    Ok(RegisteredFiles { asset_id: replica.id.clone() })
}

/// Describes the files, several at once: first those that are primary and must not be, last the one that must.
async fn describe(changes: Vec<(&AssetFile, Change<'_>)>, site: &Site, budget: Budget) -> Result<(), Failure> {
    for group in changes.chunk_by(|(_, one), (_, other)| one.turn() == other.turn()) {
        let describing = budget.each(group.iter(), CALLS_AT_ONCE, |(file, change)| {
            site.media.describe_file(&file.id, change.primary, change.mime_type)
        });
        let left = describing.await?;
        if left > 0 {
            return Err(budget.spent(&format!("describing the files, {left} are left")));
        }
    }
    Ok(())
}

/// Registers all files at once; or one by one, where the service refuses that because some are registered already, perhaps
/// by a call of ours whose answer was lost: what it does then is not known (contract ams-v2, section 4.1).
async fn register(verified: &VerifiedCopy<'_>, replica: &Asset, site: &Site, budget: Budget) -> Result<(), Failure> {
    let refused = match site.media.register_files(&replica.id).await {
        Err(failure) if failure.code == "conflict" => failure,
        other => return other,
    };
    let files = site.media.list_files(&replica.id).await?;
    if files.is_empty() {
        return Err(refused);
    }
    tracing::debug!(site = %site.name, error = %refused, "files are registered one by one");
    let known: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let is_missing = |blob: &&Blob| is_registrable(blob) && !known.contains(blob.name.as_str());
    let missing: Vec<_> = verified.listing().blobs().iter().filter(is_missing).collect();
    let registering = budget
        .each(missing.iter(), CALLS_AT_ONCE, |blob| site.media.register_file(&replica.id, &blob.name, blob.size_bytes));
    match registering.await? {
        0 => Ok(()),
        left => Err(budget.spent(&format!("registering the files, {left} are left"))),
    }
}

/// Nested blobs are never registered: a file's name may hold no slash (contract ams-v2, sections 3 and 4.1).
fn is_registrable(blob: &Blob) -> bool {
    !blob.name.contains('/')
}

/// The registered set against the blobs.
fn compare(verified: &VerifiedCopy<'_>, files: &[AssetFile]) -> Result<(), Failure> {
    let mut comparison = verified.listing().comparison();
    let (mut wrong, mut stray) = (None, None);
    for file in files {
        match comparison.meet(&file.name) {
            None => drop(stray.get_or_insert(file)),
            Some(blob) if blob.size_bytes != file.size_bytes => drop(wrong.get_or_insert(blob)),
            Some(_) => {}
        }
    }
    if let Some(blob) = comparison.unmet().find(|blob| is_registrable(blob)) {
        let message = format!("'{}' is not registered as a file of the replica yet", blob.name);
        return Err(Failure::needs_more_time("files-not-registered", message, REGISTRATION_CHECK));
    }
    let message = match (wrong, stray) {
        (None, None) => return Ok(()),
        (Some(blob), _) => format!(
            "'{}' is registered at the replica with another size than its blob's {}",
            blob.name, blob.size_bytes
        ),
        (None, Some(file)) => format!("'{}' is registered at the replica but has no blob", file.name),
    };
    Err(Failure::permanent("files-differ", message)
        .with_hint("delete that file's entry (or the whole replica asset) at the replica's media service, then replay"))
}

/// One correction of a file's description.
#[derive(Debug, PartialEq, Eq)]
struct Change<'a> {
    primary: Option<bool>,
    mime_type: Option<&'a str>,
}

impl Change<'_> {
    fn turn(&self) -> u8 {
        match self.primary {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        }
    }
}

/// What must change so that the files are described as at the source. A second primary is refused by the service, so
/// wrong primaries are cleared first and the right one is set last.
fn changes<'a>(source: &'a SourceAsset, files: &'a [AssetFile]) -> Vec<(&'a AssetFile, Change<'a>)> {
    let at_source: BTreeMap<&str, &AssetFile> = source.files.iter().map(|file| (file.name.as_str(), file)).collect();
    let primary = source.files.iter().find(|file| file.is_primary).map_or(source.manifest.as_str(), |file| &file.name);
    let mut found: Vec<_> = files
        .iter()
        .filter_map(|file| {
            let wanted = at_source.get(file.name.as_str()).and_then(|file| file.mime_type.as_deref());
            let mime_type = wanted.filter(|wanted| file.mime_type.as_deref() != Some(wanted));
            let is_primary = file.name == primary;
            let primary = (file.is_primary != is_primary).then_some(is_primary);
            (mime_type.is_some() || primary.is_some()).then_some((file, Change { primary, mime_type }))
        })
        .collect();
    found.sort_by_key(|(_, change)| change.turn());
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Listing;

    fn file(name: &str, is_primary: bool, mime_type: Option<&str>) -> AssetFile {
        AssetFile {
            id: name.into(),
            name: name.into(),
            size_bytes: 1,
            is_primary,
            mime_type: mime_type.map(Into::into),
            is_encrypted: false,
        }
    }

    #[test]
    fn wrong_primaries_go_first_the_right_one_comes_last_and_equal_files_are_left_alone() {
        let asset = Asset {
            id: "a".into(),
            name: "a".into(),
            alternate_id: None,
            container: "c".into(),
            static_encryption: None,
            created: None,
        };
        let files = vec![
            file("a.ism", true, None),
            file("a.mp4", false, Some("video/mp4")),
            file("b.mp4", false, Some("video/mp4")),
        ];
        let source = SourceAsset { asset, listing: Listing::default(), files, manifest: "a.ism".into() };
        let replica = [
            file("a.ism", false, None),
            file("a.mp4", false, None),
            file("b.mp4", false, Some("video/mp4")),
            file("c.txt", true, None),
        ];
        let found: Vec<_> =
            changes(&source, &replica).into_iter().map(|(file, change)| (file.name.as_str(), change)).collect();
        assert_eq!(
            found,
            [
                ("c.txt", Change { primary: Some(false), mime_type: None }),
                ("a.mp4", Change { primary: None, mime_type: Some("video/mp4") }),
                ("a.ism", Change { primary: Some(true), mime_type: None }),
            ]
        );
    }
}
