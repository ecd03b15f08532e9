//! Reading: what a navigation leads to, and what a reader sees of it.

use super::{Account, AmsError, Entity};
use crate::emulator::odata::schema::{Navigation, Set};

impl Account {
    /// One entity as a reader sees it.
    pub(crate) fn observe(&mut self, set: Set, key: &str) -> Result<Entity, AmsError> {
        let seen = self.find_mut(set, key)?.observe();
        seen.ok_or_else(|| AmsError::not_found(format_args!("{}('{key}')", set.schema().name)))
    }

    /// A whole set as a reader sees it.
    pub(crate) fn observe_all(&mut self, set: Set) -> Vec<Entity> {
        self.all_mut(set).iter_mut().filter_map(Entity::observe).collect()
    }

    /// The entities at the other end of a navigation, as a reader sees them.
    pub(crate) fn observe_related(
        &mut self,
        set: Set,
        key: &str,
        navigation: &Navigation,
    ) -> Result<Vec<Entity>, AmsError> {
        let entity = self.observe(set, key)?;
        if (set, navigation.name) == (Set::Assets, "Files") {
            // there may be tens of thousands: no search for each
            let is_its = |file: &&mut Entity| file.text("ParentAssetId") == Some(entity.key());
            return Ok(self.all_mut(Set::Files).iter_mut().filter(is_its).filter_map(Entity::observe).collect());
        }
        let keys = self.related_keys(&entity, navigation);
        Ok(keys.iter().filter_map(|key| self.observe(navigation.target, key).ok()).collect())
    }

    fn related_keys(&self, entity: &Entity, navigation: &Navigation) -> Vec<String> {
        let pointing = |property: &str| {
            let others = self.all(navigation.target).iter().filter(|other| other.text(property) == Some(entity.key()));
            others.map(|other| other.key().to_owned()).collect()
        };
        let pointed = |property: &str| entity.text(property).map(str::to_owned).into_iter().collect();
        match (entity.set_of(), navigation.name) {
            (Set::Assets, "AssetFilters") => pointing("ParentAssetId"),
            (Set::Assets, "Locators") => pointing("AssetId"),
            (Set::Assets, "StorageAccount") => pointed("StorageAccountName"),
            (Set::Assets, "AccessPolicies") => {
                let policies = self.locators_of(entity.key()).filter_map(|locator| locator.text("AccessPolicyId"));
                let mut policies: Vec<String> = policies.map(str::to_owned).collect();
                policies.sort();
                policies.dedup();
                policies
            }
            (Set::Locators, "Asset") => pointed("AssetId"),
            (Set::Locators, "AccessPolicy") => pointed("AccessPolicyId"),
            _ => entity.links(navigation.name).to_vec(),
        }
    }
}
