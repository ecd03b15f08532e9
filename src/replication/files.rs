//! Registers the copied files with the replica's media service, described as at the source.

use std::time::Duration;

use futures::stream::{self, try_unfold};

use super::budget::Budget;
use super::names::Sizes;
use super::sites::Site;
use super::source::SourceFiles;
use super::storage::Storage;
use super::verify::VerifiedCopy;
use crate::blob_store::{Blobs, Container};
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
    source: &SourceFiles,
    replica: &Asset,
    verified: &VerifiedCopy,
    storage: &Storage<'_>,
    site: &Site,
    budget: Budget,
) -> Result<RegisteredFiles, Failure> {
    let container = storage.replica(replica).await?;
    let look = || Registered::look(source, verified, replica, site);
    let mut registered = look().await?;
    if !registered.is_right() {
        match site.media()?.register_files(&replica.id).await {
            Ok(()) => {}
            // Some are registered already, perhaps by a call of ours whose answer was lost: what the service does then is
            // not known (contract ams-v2, section 4.1).
            Err(refused) if refused.code == "conflict" => {
                let found = look().await?;
                if found.count == 0 {
                    return Err(refused);
                }
                tracing::debug!(site = %site.name, error = %refused, "files are registered one by one");
                register_missing(&found.missing, &container, replica, site, budget).await?;
            }
            Err(failure) => return Err(failure),
        }
        registered = look().await?;
    }
    registered.verify(&container).await.map_err(|failure| failure.at_site(&site.name))?;
    describe(registered.changes, site, budget).await?;
    Ok(RegisteredFiles { asset_id: replica.id.clone() })
}

async fn register_missing(
    missing: &Sizes,
    container: &Container,
    replica: &Asset,
    site: &Site,
    budget: Budget,
) -> Result<(), Failure> {
    let blobs = try_unfold(container.blobs(), |mut blobs| async move {
        Ok(next_of(missing, &mut blobs).await?.map(|blob| (blob, blobs)))
    });
    let register = async |blob: Blob| site.media()?.register_file(&replica.id, &blob.name, blob.size_bytes).await;
    match budget.each(blobs, CALLS_AT_ONCE, register).await? {
        None => Ok(()),
        Some(begun) => {
            let left = missing.len() - begun;
            Err(budget.spent(&format!("registering the files one by one, {left} are left")))
        }
    }
}

/// The next blob that is one of these.
async fn next_of(names: &Sizes, blobs: &mut Blobs) -> Result<Option<Blob>, Failure> {
    while let Some(blob) = blobs.next().await? {
        if names.get(&blob.name).is_some() {
            return Ok(Some(blob));
        }
    }
    Ok(None)
}

/// What is registered at the replica, against what should be.
struct Registered<'a> {
    count: usize,
    missing: Sizes,
    odd: Option<String>,
    changes: Vec<Change<'a>>,
}

impl<'a> Registered<'a> {
    async fn look(
        source: &'a SourceFiles,
        verified: &VerifiedCopy,
        replica: &Asset,
        site: &Site,
    ) -> Result<Self, Failure> {
        let mut registered = Self { count: 0, missing: verified.registrable().clone(), odd: None, changes: Vec::new() };
        let mut pages = site.media()?.files(&replica.id);
        while let Some(page) = pages.next().await? {
            for file in page {
                registered.see(&file, source, verified);
            }
        }
        registered.changes.sort_by_key(Change::turn);
        Ok(registered)
    }

    fn see(&mut self, file: &AssetFile, source: &'a SourceFiles, verified: &VerifiedCopy) {
        self.count += 1;
        self.missing.remove(&file.name);
        let name = &file.name;
        let odd = match verified.registrable().get(name) {
            Some(size) if size == file.size_bytes => return self.changes.extend(Change::of(file, source)),
            Some(size) => format!("'{name}' is registered at the replica with another size than its blob's {size}"),
            None => format!("'{name}' is registered at the replica but has no blob"),
        };
        self.odd.get_or_insert(odd);
    }

    fn is_right(&self) -> bool {
        self.missing.is_empty() && self.odd.is_none()
    }

    async fn verify(&self, container: &Container) -> Result<(), Failure> {
        if !self.missing.is_empty() {
            let example = next_of(&self.missing, &mut container.blobs()).await?;
            let name = example.map_or_else(|| "a file".to_owned(), |blob| format!("'{}'", blob.name));
            let message = format!("{name} is not registered as a file of the replica yet");
            return Err(Failure::needs_more_time("files-not-registered", message, REGISTRATION_CHECK));
        }
        self.odd.as_ref().map_or(Ok(()), |odd| {
            Err(Failure::permanent("files-differ", odd.as_str()).with_hint(
                "delete that file's entry (or the whole replica asset) at the replica's media service, then replay",
            ))
        })
    }
}

/// Describes the files, several at once: first those that are primary and must not be, last the one that must.
async fn describe(changes: Vec<Change<'_>>, site: &Site, budget: Budget) -> Result<(), Failure> {
    let media = site.media()?;
    for group in changes.chunk_by(|one, other| one.turn() == other.turn()) {
        let describing = budget.each(stream::iter(group.iter().map(Ok)), CALLS_AT_ONCE, |change| {
            media.describe_file(&change.file_id, change.primary, change.mime_type)
        });
        if let Some(begun) = describing.await? {
            let left = group.len() - begun;
            return Err(budget.spent(&format!("describing the files, {left} are left")));
        }
    }
    Ok(())
}

/// One correction of a file's description.
#[derive(Debug, PartialEq, Eq)]
struct Change<'a> {
    file_id: String,
    primary: Option<bool>,
    mime_type: Option<&'a str>,
}

impl<'a> Change<'a> {
    /// What must change so that the file is described as at the source.
    fn of(file: &AssetFile, source: &'a SourceFiles) -> Option<Self> {
        let wanted = source.mime_types.get(&file.name);
        let mime_type = wanted.filter(|wanted| file.mime_type.as_deref() != Some(wanted));
        let is_primary = file.name == source.primary;
        let primary = (file.is_primary != is_primary).then_some(is_primary);
        let file_id = || file.id.clone();
        (mime_type.is_some() || primary.is_some()).then(|| Self { file_id: file_id(), primary, mime_type })
    }

    /// A second primary is refused by the service, so wrong ones are cleared first and the right one is set last.
    fn turn(&self) -> u8 {
        match self.primary {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::names::MimeTypes;

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
        let mut mime_types = MimeTypes::default();
        mime_types.insert("a.mp4", "video/mp4");
        mime_types.insert("b.mp4", "video/mp4");
        let source = SourceFiles { manifest: "a.ism".into(), primary: "a.ism".into(), mime_types };
        let replica = [
            file("a.ism", false, None),
            file("a.mp4", false, None),
            file("b.mp4", false, Some("video/mp4")),
            file("c.txt", true, None),
        ];
        let mut found: Vec<_> = replica.iter().filter_map(|file| Change::of(file, &source)).collect();
        found.sort_by_key(Change::turn);
        let change = |name: &str, primary, mime_type| Change { file_id: name.into(), primary, mime_type };
        assert_eq!(
            found,
            [
                change("c.txt", Some(false), None),
                change("a.mp4", None, Some("video/mp4")),
                change("a.ism", Some(true), None),
            ]
        );
    }
}
