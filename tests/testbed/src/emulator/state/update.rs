//! Changing, deleting, linking: what may be written after creation, and what may not.

use super::create::refuse_too_long;
use super::locators::SAS;
use super::{Account, AmsError, Entity};
use crate::emulator::odata::body::Input;
use crate::emulator::odata::edm::Edm;
use crate::emulator::odata::schema::{Access, Set};

impl Account {
    /// MERGE, PATCH and, with `replace`, PUT.
    pub(crate) fn update(&mut self, set: Set, key: &str, input: &Input, replace: bool) -> Result<(), AmsError> {
        let mut entity = self.find(set, key)?.clone();
        match set {
            Set::AccessPolicies => return Err(AmsError::bad_request("an AccessPolicy cannot be updated")),
            Set::MediaProcessors | Set::StorageAccounts | Set::Operations => {
                return Err(AmsError::new(405, format!("{} cannot be updated", set.schema().name)));
            }
            Set::Locators if entity.number("Type") == Some(SAS) => {
                return Err(AmsError::bad_request("a SAS locator cannot be updated"));
            }
            _ => {}
        }
        write_values(&mut entity, input, replace)?;
        if set == Set::Files {
            self.refuse_second(&entity)?;
        }
        entity.touch();
        *self.find_mut(set, key)? = entity;
        Ok(())
    }

    /// DELETE of any set but `Assets`.
    pub(crate) fn delete(&mut self, set: Set, key: &str) -> Result<Entity, AmsError> {
        let entity = self.find(set, key)?;
        let id = entity.key().to_owned();
        match set {
            Set::Jobs if entity.number("State").is_none_or(|state| !(3..=5).contains(&state)) => {
                return Err(AmsError::bad_request("a job can be deleted only after it has ended"));
            }
            Set::AccessPolicies
                if self.all(Set::Locators).iter().any(|locator| locator.text("AccessPolicyId") == Some(&id)) =>
            {
                return Err(AmsError::conflict("the AccessPolicy is used by a locator: delete the locator first"));
            }
            Set::MediaProcessors | Set::StorageAccounts | Set::Operations | Set::Tasks => {
                return Err(AmsError::new(405, format!("{} cannot be deleted", set.schema().name)));
            }
            _ => {}
        }
        let removed = self.remove(set, key)?;
        for asset in self.all_mut(Set::Assets) {
            asset.unlink("ContentKeys", &id);
            asset.unlink("DeliveryPolicies", &id);
        }
        Ok(removed)
    }

    /// `POST …/$links/<navigation>`.
    pub(crate) fn link(&mut self, set: Set, key: &str, navigation: &str, url: &str) -> Result<(), AmsError> {
        let name = linkable(set, navigation)?;
        let target = self.key_of_linked(set, name, url)?;
        self.find_mut(set, key)?.link(name, target);
        Ok(())
    }

    /// `DELETE …/$links/<navigation>('key')`.
    pub(crate) fn unlink(&mut self, set: Set, key: &str, navigation: &str, target: &str) -> Result<(), AmsError> {
        let name = linkable(set, navigation)?;
        if self.find_mut(set, key)?.unlink(name, target) {
            return Ok(());
        }
        Err(AmsError::not_found(format_args!("{navigation}('{target}')")))
    }
}

fn linkable(set: Set, navigation: &str) -> Result<&'static str, AmsError> {
    match (set, navigation) {
        (Set::Assets, "ContentKeys") => Ok("ContentKeys"),
        (Set::Assets, "DeliveryPolicies") => Ok("DeliveryPolicies"),
        (Set::Assets, "ParentAssets") => Ok("ParentAssets"),
        (Set::ContentKeyAuthorizationPolicies, "Options") => Ok("Options"),
        _ => Err(AmsError::bad_request(format!("'{navigation}' of '{}' cannot be linked", set.schema().type_name))),
    }
}

/// Write-once values may be repeated but not changed (contract ams-v2 section 2.2). What only the service sets is ignored,
/// since .NET sends every property back as it read it, dates rounded.
fn write_values(entity: &mut Entity, input: &Input, replace: bool) -> Result<(), AmsError> {
    for property in entity.set_of().schema().properties {
        let given = input.values.iter().find(|(name, _)| *name == property.name).map(|(_, value)| value);
        match (given, property.access) {
            (_, Access::Service) | (Some(Edm::Null) | None, Access::Once | Access::OnceRequired) => {}
            (Some(value), Access::Once | Access::OnceRequired) => {
                if entity.value(property.name) != value {
                    return Err(AmsError::bad_request(format!("the property '{}' cannot be changed", property.name)));
                }
            }
            (Some(Edm::Null), Access::Required) => {
                return Err(AmsError::bad_request(format!("the property '{}' is required", property.name)));
            }
            (Some(value), Access::Free | Access::Required) => {
                refuse_too_long(entity.set_of().schema(), property.name, value)?;
                entity.set(property.name, value.clone());
            }
            (None, Access::Required) if replace => {
                return Err(AmsError::bad_request(format!("the property '{}' is required", property.name)));
            }
            (None, Access::Free) if replace => {
                entity.set(property.name, Edm::Null);
            }
            (None, Access::Free | Access::Required) => {}
        }
    }
    Ok(())
}
