//! Assets: their creation with a container, and what goes when they go.

use uuid::Uuid;

use super::{Account, AmsError, Entity};
use crate::emulator::odata::body::Input;
use crate::emulator::odata::schema::Set;

/// The container of an asset (contract ams-v2 section 2.5: `asset-` and the asset's GUID).
pub(crate) fn container_of(asset_id: &str) -> String {
    format!("asset-{}", uuid_of(asset_id))
}

/// The GUID in an id such as `nb:cid:UUID:…`, in lower case.
pub(crate) fn uuid_of(id: &str) -> String {
    id.rsplit(':').next().unwrap_or(id).to_ascii_lowercase()
}

impl Account {
    /// Makes the asset entity; its container is made by the caller before the entity is inserted.
    pub(crate) fn new_asset(&self, input: &Input) -> Result<Entity, AmsError> {
        let mut asset = self.new_entity(Set::Assets, input, None)?;
        let options = input.int32("Options").unwrap_or(0);
        if ![0, 1, 2, 4].contains(&options) {
            return Err(AmsError::bad_request(format!("the asset creation options {options} are not valid")));
        }
        let storage_name = asset.text("StorageAccountName").unwrap_or(self.storage.account()).to_owned();
        let unattached =
            || format!("the storage account '{storage_name}' is not attached to the account '{}'", self.name);
        let storage = self.storage_named(&storage_name).ok_or_else(|| AmsError::new(404, unattached()))?;
        let is_default = storage_name == self.storage.account();
        let root = if is_default { &self.storage_root } else { storage.endpoint().as_str().trim_end_matches('/') };
        let uri = format!("{root}/{}", container_of(asset.key()));
        asset.set("State", 0).set("Options", options);
        asset.set("Uri", uri).set("StorageAccountName", storage_name);
        if asset.number("FormatOption").is_none() {
            asset.set("FormatOption", 0);
        }
        Ok(asset)
    }

    /// Removes the asset with its files, locators, filters and otherwise unlinked content keys.
    pub(crate) fn remove_asset(&mut self, key: &str) -> Result<Entity, AmsError> {
        let asset = self.remove(Set::Assets, key)?;
        let id = asset.key().to_owned();
        self.all_mut(Set::Files).retain(|file| file.text("ParentAssetId") != Some(&id));
        self.all_mut(Set::AssetFilters).retain(|filter| filter.text("ParentAssetId") != Some(&id));
        self.all_mut(Set::Locators).retain(|locator| locator.text("AssetId") != Some(&id));
        for key in asset.links("ContentKeys") {
            let elsewhere = self.all(Set::Assets).iter().any(|other| other.links("ContentKeys").contains(key));
            if !elsewhere {
                self.all_mut(Set::ContentKeys).retain(|content_key| content_key.key() != key);
            }
        }
        for other in self.all_mut(Set::Assets) {
            other.unlink("ParentAssets", &id);
        }
        Ok(asset)
    }
}

/// A new GUID, in lower case.
pub(super) fn new_uuid() -> String {
    Uuid::new_v4().to_string()
}
