//! One account: its entities by set, and finding them.

use std::collections::{BTreeMap, BTreeSet};

use super::{AmsError, Entity};
use crate::emulator::config::Switches;
use crate::emulator::doors::token::Subject;
use crate::emulator::entra::EntraPrincipal;
use crate::emulator::odata::schema::Set;
use crate::storage::Storage;

/// One media services account.
pub(crate) struct Account {
    pub(crate) name: String,
    /// The account's GUID, as notifications carry it.
    pub(crate) id: String,
    /// The secret that ACS expects.
    pub(crate) key: String,
    /// The principal that Entra knows.
    pub(crate) entra: Option<EntraPrincipal>,
    pub(crate) data_centre: String,
    /// The default storage account.
    pub(crate) storage: Storage,
    pub(crate) more_storage: Vec<Storage>,
    /// SAS locators that died with a storage key.
    pub(crate) dead_sas: BTreeSet<String>,
    /// The root of its blob service as clients are told it, without a trailing slash.
    pub(crate) storage_root: String,
    /// The root of its streaming endpoint as clients are told it, without a trailing slash.
    pub(crate) streaming_root: String,
    pub(crate) switches: Switches,
    sets: BTreeMap<Set, Vec<Entity>>,
}

impl Account {
    /// An account with a default streaming endpoint, one storage account and one media processor.
    pub(crate) fn new(config: &crate::emulator::config::AccountConfig, streaming_root: String) -> Self {
        let mut account = Self {
            name: config.name.clone(),
            id: uuid::Uuid::new_v4().to_string(),
            key: config.key.clone(),
            entra: config.entra.clone(),
            data_centre: config.data_centre.clone(),
            storage: config.storage.clone(),
            more_storage: config.more_storage.clone(),
            dead_sas: BTreeSet::new(),
            storage_root: config
                .public_storage
                .clone()
                .unwrap_or_else(|| config.storage.endpoint().as_str().trim_end_matches('/').to_owned()),
            streaming_root,
            switches: config.switches.clone(),
            sets: BTreeMap::new(),
        };
        account.furnish();
        account
    }

    /// An attached storage account.
    pub(crate) fn storage_named(&self, name: &str) -> Option<&Storage> {
        std::iter::once(&self.storage).chain(&self.more_storage).find(|storage| storage.account() == name)
    }

    /// The storage account of an asset.
    pub(crate) fn storage_of(&self, asset_id: &str) -> Result<Storage, AmsError> {
        self.find(Set::Assets, asset_id).map(|asset| self.storage_behind(asset))
    }

    /// The storage account that an asset entity names.
    pub(crate) fn storage_behind(&self, asset: &Entity) -> Storage {
        let named = asset.text("StorageAccountName").and_then(|name| self.storage_named(name));
        named.unwrap_or(&self.storage).clone()
    }

    /// Whether somebody from Entra has a role here.
    pub(crate) fn lets_in(&self, tenant: &str, subject: &Subject) -> bool {
        self.entra.as_ref().filter(|entra| entra.has_role && entra.is_of(tenant)).is_some_and(|entra| match subject {
            Subject::Application(id) => entra.client_id.eq_ignore_ascii_case(id),
            Subject::User(name) => entra.user.as_ref().is_some_and(|user| user.name.eq_ignore_ascii_case(name)),
        })
    }

    /// The entities of a set, oldest first.
    pub(crate) fn all(&self, set: Set) -> &[Entity] {
        self.sets.get(&set).map_or(&[], Vec::as_slice)
    }

    /// The entities of a set, to be changed.
    pub(crate) fn all_mut(&mut self, set: Set) -> &mut Vec<Entity> {
        self.sets.entry(set).or_default()
    }

    pub(crate) fn find(&self, set: Set, key: &str) -> Result<&Entity, AmsError> {
        let found = self.all(set).iter().find(|entity| entity.key().eq_ignore_ascii_case(key));
        found.ok_or_else(|| AmsError::not_found(format_args!("{}('{key}')", set.schema().name)))
    }

    pub(crate) fn find_mut(&mut self, set: Set, key: &str) -> Result<&mut Entity, AmsError> {
        let found = self.all_mut(set).iter_mut().find(|entity| entity.key().eq_ignore_ascii_case(key));
        found.ok_or_else(|| AmsError::not_found(format_args!("{}('{key}')", set.schema().name)))
    }

    pub(crate) fn insert(&mut self, entity: Entity) {
        self.all_mut(entity.set_of()).push(entity);
    }

    pub(crate) fn remove(&mut self, set: Set, key: &str) -> Result<Entity, AmsError> {
        let all = self.all_mut(set);
        let at = all.iter().position(|entity| entity.key().eq_ignore_ascii_case(key));
        at.map(|at| all.remove(at)).ok_or_else(|| AmsError::not_found(format_args!("{}('{key}')", set.schema().name)))
    }
}
