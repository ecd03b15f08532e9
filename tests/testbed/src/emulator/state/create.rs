//! Creating entities: the common part, and the sets that need nothing else.

use time::OffsetDateTime;

use super::assets::new_uuid;
use super::{Account, AmsError, Entity, State};
use crate::emulator::odata::body::Input;
use crate::emulator::odata::edm::Edm;
use crate::emulator::odata::path;
use crate::emulator::odata::schema::{Access, Schema, Set};

impl State {
    /// Creates an entity of any set but `Assets` and `Jobs`, which need containers first.
    pub(crate) fn create(&mut self, account: &str, set: Set, input: &Input) -> Result<Entity, AmsError> {
        let entity = match set {
            Set::Locators => self.new_locator(account, input)?,
            Set::ContentKeys => self.new_content_key(account, input)?,
            Set::AccessPolicies => self.account(account)?.new_access_policy(input)?,
            Set::Files => self.account(account)?.new_file(input)?,
            Set::AssetFilters => {
                let account = self.account(account)?;
                account.find(Set::Assets, input.text("ParentAssetId").unwrap_or_default())?;
                account.new_entity(set, input, None)?
            }
            Set::AssetDeliveryPolicies
            | Set::ContentKeyAuthorizationPolicies
            | Set::ContentKeyAuthorizationPolicyOptions
            | Set::NotificationEndPoints => self.account(account)?.new_entity(set, input, None)?,
            Set::StreamingEndpoints => self.account(account)?.new_streaming_endpoint(input)?,
            _ => return Err(AmsError::new(405, format!("{} cannot be created", set.schema().name))),
        };
        self.account(account)?.insert(entity.clone());
        Ok(entity)
    }
}

/// Texts have a longest length (contract ams-v2 section 3).
pub(super) fn refuse_too_long(schema: &Schema, name: &str, value: &Edm) -> Result<(), AmsError> {
    let (Edm::Text(text), Some(longest)) = (value, schema.longest(name)) else { return Ok(()) };
    if text.chars().count() <= longest {
        return Ok(());
    }
    Err(AmsError::bad_request(format!("the property '{name}' of '{}' may have {longest} characters", schema.type_name)))
}

impl Account {
    /// An entity with the given values, after the checks that hold for every set. Values that only the service sets are
    /// ignored, since .NET posts every property.
    pub(super) fn new_entity(&self, set: Set, input: &Input, key: Option<String>) -> Result<Entity, AmsError> {
        let schema = set.schema();
        self.refuse_over_quota(set)?;
        let mut entity = Entity::new(set, key.unwrap_or_else(|| format!("{}{}", schema.prefix, new_uuid())));
        for property in schema.properties.iter().filter(|property| property.name != schema.key()) {
            match (input.value(property.name), property.access) {
                (_, Access::Service) => {}
                (None, Access::Required | Access::OnceRequired) => {
                    return Err(AmsError::bad_request(format!(
                        "the property '{}' of '{}' is required",
                        property.name, schema.type_name
                    )));
                }
                (None, Access::Free | Access::Once) => {}
                (Some(value), _) => {
                    refuse_too_long(schema, property.name, value)?;
                    entity.set(property.name, value.clone());
                }
            }
        }
        self.link_given(&mut entity, input)?;
        Ok(entity)
    }

    /// Contract ams-v2 section 4.3: what exceeds a quota is 403.
    fn refuse_over_quota(&self, set: Set) -> Result<(), AmsError> {
        let quotas = &self.switches.quotas;
        let quota = match set {
            Set::Assets => quotas.assets,
            Set::Jobs => quotas.jobs,
            Set::AccessPolicies | Set::AssetDeliveryPolicies | Set::ContentKeyAuthorizationPolicies => quotas.policies,
            _ => return Ok(()),
        };
        if self.all(set).len() < quota {
            return Ok(());
        }
        Err(AmsError::new(403, format!("the quota of {quota} {} is reached", set.schema().name)))
    }

    /// Links to existing entities; a link to a missing one is 404 (contract ams-v2 section 5.2).
    fn link_given(&self, entity: &mut Entity, input: &Input) -> Result<(), AmsError> {
        for (navigation, urls) in &input.links {
            for url in urls {
                let key = self.key_of_linked(entity.set_of(), navigation, url)?;
                entity.link(navigation, key);
            }
        }
        Ok(())
    }

    /// The key in an entity URL, after a look whether the entity is there.
    pub(crate) fn key_of_linked(&self, set: Set, navigation: &str, url: &str) -> Result<String, AmsError> {
        let target = set.schema().navigation(navigation).map(|navigation| navigation.target);
        let segment = path::key_of_url(url).filter(|segment| Set::named(&segment.name) == target);
        let (Some(target), Some(key)) = (target, segment.and_then(|segment| segment.key)) else {
            return Err(AmsError::bad_request(format!("'{url}' is not the URL of an entity for '{navigation}'")));
        };
        self.find(target, &key).map(|entity| entity.key().to_owned())
    }

    /// Contract ams-v2 section 3: a missing duration gave 500, not 400.
    fn new_access_policy(&self, input: &Input) -> Result<Entity, AmsError> {
        let mut policy = self.new_entity(Set::AccessPolicies, input, None)?;
        let Some(minutes) = policy.double("DurationInMinutes") else {
            return Err(AmsError::new(
                500,
                "an error occurred while processing this request: DurationInMinutes is not set",
            ));
        };
        if !(minutes > 0.0 && minutes.is_finite()) {
            return Err(AmsError::bad_request("DurationInMinutes must be greater than zero"));
        }
        let permissions = policy.number("Permissions").unwrap_or(0);
        if !(0..16).contains(&permissions) {
            return Err(AmsError::bad_request(format!("the permissions {permissions} are not valid")));
        }
        if *policy.value("Permissions") == Edm::Null {
            policy.set("Permissions", 0);
        }
        Ok(policy)
    }

    /// The current time, as dates are kept.
    pub(super) fn now() -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}
