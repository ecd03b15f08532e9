//! Locators: ids unique in a data centre, five per asset, origin and SAS (contract ams-v2 sections 4.2 to 4.4).

use time::{Duration, OffsetDateTime};

use super::assets::new_uuid;
use super::{Account, AmsError, Entity, State, container_of, uuid_of};
use crate::emulator::odata::body::Input;
use crate::emulator::odata::schema::Set;
use crate::storage::StoredPolicy;

/// What every locator id begins with.
pub(crate) const LOCATOR_PREFIX: &str = "nb:lid:UUID:";

/// Locators of all types that one asset may have (contract ams-v2 section 4.3).
const LOCATORS_PER_ASSET: usize = 5;

/// A SAS URL to the asset's container.
pub(crate) const SAS: i64 = 1;
/// A streaming URL.
const ORIGIN: i64 = 2;

const READ: i64 = 1;
const WRITE_OR_DELETE: i64 = 2 | 4;

impl State {
    pub(super) fn new_locator(&mut self, account: &str, input: &Input) -> Result<Entity, AmsError> {
        let id = match input.text("Id") {
            None => format!("{LOCATOR_PREFIX}{}", new_uuid()),
            Some(id) => full_id(id, self.account(account)?.switches.bare_locator_ids)?,
        };
        let kind = input.int32("Type").map(i64::from);
        if !matches!(kind, Some(SAS | ORIGIN)) {
            return Err(AmsError::bad_request(
                "the property 'Type' of 'Locator' must be 1 (SAS) or 2 (OnDemandOrigin)",
            ));
        }
        self.account(account)?.check_locator_ends(input, kind)?;
        self.refuse_taken_id(account, Set::Locators, &id)?;
        self.account(account)?.build_locator(input, id)
    }
}

impl Account {
    /// The asset and the policy must exist, be usable and have room.
    fn check_locator_ends(&self, input: &Input, kind: Option<i64>) -> Result<(), AmsError> {
        let asset = self.find(Set::Assets, self.end_of(input, "AssetId", "Asset")?.as_str())?;
        let policy = self.find(Set::AccessPolicies, self.end_of(input, "AccessPolicyId", "AccessPolicy")?.as_str())?;
        if kind == Some(ORIGIN) && policy.number("Permissions").unwrap_or(0) & WRITE_OR_DELETE != 0 {
            return Err(AmsError::bad_request("an OnDemandOrigin locator cannot have write or delete permissions"));
        }
        let reads = policy.number("Permissions").unwrap_or(0) & READ != 0;
        if self.switches.locator_needs_files && reads && self.files_of(asset.key()).next().is_none() {
            return Err(AmsError::bad_request("a locator cannot be created for an asset that has no files"));
        }
        if self.locators_of(asset.key()).count() >= LOCATORS_PER_ASSET {
            return Err(AmsError::conflict("an asset cannot have more than five locators"));
        }
        Ok(())
    }

    /// The key of one end of the locator, given as a property or as a link.
    fn end_of(&self, input: &Input, property: &str, navigation: &str) -> Result<String, AmsError> {
        if let Some(id) = input.text(property) {
            return Ok(id.to_owned());
        }
        let url = input.links.iter().find(|(name, _)| *name == navigation).and_then(|(_, urls)| urls.first());
        let url =
            url.ok_or_else(|| AmsError::bad_request(format!("the property '{property}' of 'Locator' is required")))?;
        self.key_of_linked(Set::Locators, navigation, url)
    }

    fn build_locator(&self, input: &Input, id: String) -> Result<Entity, AmsError> {
        let mut locator = self.new_entity(Set::Locators, input, Some(id))?;
        let asset = self.find(Set::Assets, &self.end_of(input, "AssetId", "Asset")?)?;
        let policy = self.find(Set::AccessPolicies, &self.end_of(input, "AccessPolicyId", "AccessPolicy")?)?;
        let start = locator.date("StartTime").unwrap_or_else(Self::now);
        let minutes = policy.double("DurationInMinutes").unwrap_or(0.0);
        let expiry = start.checked_add(Duration::seconds_f64(minutes * 60.0));
        locator.set("ExpirationDateTime", expiry.unwrap_or(time::macros::datetime!(9999-12-31 23:59:59 UTC)));
        locator.set("AssetId", asset.key()).set("AccessPolicyId", policy.key());
        let uuid = uuid_of(locator.key());
        let (base, access) = if locator.number("Type") == Some(SAS) {
            let (start, expiry) = (locator.date("StartTime"), locator.date("ExpirationDateTime"));
            let sas = self.storage_behind(asset).locator_sas(&container_of(asset.key()), &uuid, start, expiry);
            (asset.text("Uri").unwrap_or_default().to_owned(), format!("?{sas}"))
        } else {
            (self.streaming_root.clone(), uuid)
        };
        let path = if access.starts_with('?') { format!("{base}{access}") } else { format!("{base}/{access}/") };
        locator.set("Path", path).set("BaseUri", base).set("ContentAccessComponent", access);
        locator.hide(self.switches.locator_read_lag, self.switches.locator_stream_lag);
        if locator.number("Type") == Some(SAS) {
            locator.hide_from_storage(self.switches.sas_lag_milliseconds);
        }
        Ok(locator)
    }

    /// The locators of an asset, oldest first.
    pub(crate) fn locators_of(&self, asset_id: &str) -> impl Iterator<Item = &Entity> {
        self.all(Set::Locators).iter().filter(move |locator| locator.text("AssetId") == Some(asset_id))
    }

    /// The stored access policies that the asset's container must have for its SAS locators: named by the locator's GUID,
    /// which is why there are at most five. Those that are still to take effect or died with a key are left out.
    pub(crate) fn stored_policies(&self, asset_id: &str) -> Vec<StoredPolicy> {
        let sas_locators = self.locators_of(asset_id).filter(|locator| locator.number("Type") == Some(SAS));
        sas_locators
            .filter(|locator| !locator.hides_from_storage() && !self.dead_sas.contains(locator.key()))
            .map(|locator| {
                let policy = self.find(Set::AccessPolicies, locator.text("AccessPolicyId").unwrap_or_default());
                let permissions = policy.ok().and_then(|policy| policy.number("Permissions")).unwrap_or(0);
                StoredPolicy {
                    id: uuid_of(locator.key()),
                    permissions: letters_of(permissions),
                    start: locator.date("StartTime"),
                    expiry: locator.date("ExpirationDateTime").unwrap_or(OffsetDateTime::UNIX_EPOCH),
                }
            })
            .collect()
    }
}

/// Only the full form is accepted, unless a switch lets a bare GUID pass, which was never seen on the wire.
fn full_id(id: &str, bare: bool) -> Result<String, AmsError> {
    let uuid = id
        .strip_prefix(LOCATOR_PREFIX)
        .or(bare.then_some(id))
        .filter(|uuid| uuid.len() == 36)
        .and_then(|uuid| uuid::Uuid::try_parse(uuid).ok());
    uuid.map(|uuid| format!("{LOCATOR_PREFIX}{uuid}"))
        .ok_or_else(|| AmsError::bad_request(format!("a locator id must read {LOCATOR_PREFIX}<guid>, not '{id}'")))
}

/// Azure's order of the permission letters is fixed.
fn letters_of(permissions: i64) -> String {
    [(1, 'r'), (2, 'w'), (4, 'd'), (8, 'l')]
        .iter()
        .filter(|(bit, _)| permissions & bit != 0)
        .map(|(_, letter)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_full_ids() {
        let uuid = "0B6D2F10-7a1e-4c55-9a3e-5d1f0c8e7a21";
        assert_eq!(
            full_id(&format!("{LOCATOR_PREFIX}{uuid}"), false),
            Ok(format!("{LOCATOR_PREFIX}{}", uuid.to_lowercase()))
        );
        for id in [uuid, "nb:lid:UUID:1", "nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21", ""] {
            assert_eq!(full_id(id, false).map_err(|error| error.status), Err(400), "{id}");
        }
        assert_eq!(full_id(uuid, true), Ok(format!("{LOCATOR_PREFIX}{}", uuid.to_lowercase())));
        assert_eq!(letters_of(1 | 8), "rl");
    }
}
