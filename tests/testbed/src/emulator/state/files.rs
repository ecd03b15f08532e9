//! Asset files: names, the one primary, and registering the blobs of a container.

use std::collections::HashSet;

use super::{Account, AmsError, Entity};
use crate::emulator::config::CreateFileInfos;
use crate::emulator::odata::body::Input;
use crate::emulator::odata::schema::Set;

/// Characters that a file name may not hold (contract ams-v2 section 3).
const RESERVED: &str = "!*'();:@&=+$,/?%#[]\"";

impl Account {
    pub(super) fn new_file(&self, input: &Input) -> Result<Entity, AmsError> {
        let mut file = self.new_entity(Set::Files, input, None)?;
        let (asset, name) = (file.text("ParentAssetId").unwrap_or_default(), file.text("Name").unwrap_or_default());
        self.find(Set::Assets, asset)?;
        if name.contains(|character| RESERVED.contains(character)) || name.matches('.').count() > 1 || name.len() > 260
        {
            return Err(AmsError::bad_request(format!("the file name '{name}' is not valid")));
        }
        self.refuse_second(&file)?;
        for (name, default) in [("IsEncrypted", false), ("IsPrimary", false)] {
            let given = file.flag(name);
            file.set(name, given || default);
        }
        set_default_numbers(&mut file);
        Ok(file)
    }

    /// A second file of one name, or a second primary file, is 409 (contract ams-v2 section 5.2).
    pub(super) fn refuse_second(&self, file: &Entity) -> Result<(), AmsError> {
        for other in self.files_of(file.text("ParentAssetId").unwrap_or_default()) {
            if other.key() == file.key() {
                continue;
            }
            if other.text("Name") == file.text("Name") {
                return Err(AmsError::conflict("more than one AssetFile has the specified name in the asset"));
            }
            if other.flag("IsPrimary") && file.flag("IsPrimary") {
                return Err(AmsError::conflict("the asset already has a primary file"));
            }
        }
        Ok(())
    }

    /// The files of an asset, oldest first.
    pub(crate) fn files_of(&self, asset_id: &str) -> impl Iterator<Item = &Entity> {
        self.all(Set::Files).iter().filter(move |file| file.text("ParentAssetId") == Some(asset_id))
    }

    /// Registers blobs as `CreateFileInfos` does: sizes known, no MIME type, none primary; nested blobs are left out
    /// (contract ams-v2 section 4.1).
    pub(crate) fn create_file_infos(&mut self, asset_id: &str, blobs: &[(String, u64)]) -> Result<(), AmsError> {
        self.find(Set::Assets, asset_id)?;
        let known: HashSet<_> = self.files_of(asset_id).filter_map(|file| file.text("Name")).collect();
        let is_known = |name: &str| known.contains(name);
        let blobs: Vec<_> = blobs.iter().filter(|(name, _)| !name.contains('/')).collect();
        let missing: Vec<_> = blobs.iter().filter(|(name, _)| !is_known(name)).collect();
        let limit = match self.switches.create_file_infos {
            CreateFileInfos::Normal => usize::MAX,
            CreateFileInfos::Partial(limit) => limit,
            CreateFileInfos::ConflictWhenFilesExist if missing.len() < blobs.len() => {
                return Err(AmsError::conflict("more than one AssetFile has the specified name in the asset"));
            }
            CreateFileInfos::ConflictWhenFilesExist => usize::MAX,
        };
        let new: Vec<Entity> =
            missing.into_iter().take(limit).map(|(name, size)| registered(asset_id, name, *size)).collect();
        new.into_iter().for_each(|file| self.insert(file));
        Ok(())
    }
}

impl Account {
    /// Registers a file as an encoder does: with its MIME type, and primary when it is the first `.ism`.
    pub(crate) fn register(&mut self, asset_id: &str, name: &str, size: u64, mime_type: Option<&str>) {
        let is_first_ism =
            name.to_ascii_lowercase().ends_with(".ism") && !self.files_of(asset_id).any(|file| file.flag("IsPrimary"));
        self.all_mut(Set::Files)
            .retain(|file| file.text("ParentAssetId") != Some(asset_id) || file.text("Name") != Some(name));
        let mut file = registered(asset_id, name, size);
        file.set("MimeType", mime_type.map(str::to_owned)).set("IsPrimary", is_first_ism);
        self.insert(file);
    }
}

/// An asset file for a blob that is there.
fn registered(asset_id: &str, name: &str, size: u64) -> Entity {
    let mut file = Entity::new(Set::Files, format!("{}{}", Set::Files.schema().prefix, super::assets::new_uuid()));
    file.set("Name", name).set("ParentAssetId", asset_id).set("IsEncrypted", false).set("IsPrimary", false);
    file.set("ContentFileSize", i64::try_from(size).unwrap_or(i64::MAX));
    set_default_numbers(&mut file);
    file
}

fn set_default_numbers(file: &mut Entity) {
    if file.number("ContentFileSize").is_none() {
        file.set("ContentFileSize", 0_i64);
    }
    if file.number("Options").is_none() {
        file.set("Options", 0);
    }
}
