//! Entities as tests like to read them.

use time::OffsetDateTime;

use super::odata::schema::Set;
use super::state::{Entity, container_of};

/// An asset.
#[derive(Debug, Clone)]
pub struct Asset {
    /// `nb:cid:UUID:…`.
    pub id: String,
    /// Its name, which need not be unique.
    pub name: String,
    /// The text that applications may put there.
    pub alternate_id: Option<String>,
    /// 0 none, 1 storage encrypted, 2 common encryption, 4 envelope encryption.
    pub options: i64,
    /// Its container.
    pub container: String,
    /// The keys of its content keys.
    pub content_keys: Vec<String>,
    /// The keys of its delivery policies.
    pub delivery_policies: Vec<String>,
}

/// An asset file.
#[derive(Debug, Clone)]
pub struct AssetFile {
    /// `nb:cid:UUID:…`.
    pub id: String,
    /// The name, equal to the blob's.
    pub name: String,
    /// The registered size in bytes.
    pub size: i64,
    /// Whether it is the manifest that players begin with.
    pub is_primary: bool,
    /// The MIME type, where one was set.
    pub mime_type: Option<String>,
}

/// A locator.
#[derive(Debug, Clone)]
pub struct Locator {
    /// `nb:lid:UUID:…`.
    pub id: String,
    /// The GUID alone, as in URLs.
    pub uuid: String,
    /// 1 SAS, 2 on-demand origin.
    pub kind: i64,
    /// The asset.
    pub asset_id: String,
    /// The access policy.
    pub access_policy_id: String,
    /// The base of streaming URLs, with its trailing slash; or the SAS URL of the container.
    pub path: String,
    /// When it begins to be good.
    pub start: Option<OffsetDateTime>,
    /// When it ceases to be good.
    pub expires: Option<OffsetDateTime>,
    /// Its name.
    pub name: Option<String>,
}

/// An access policy.
#[derive(Debug, Clone)]
pub struct AccessPolicy {
    /// `nb:pid:UUID:…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How long a locator made with it is good, in minutes.
    pub duration_minutes: f64,
    /// 1 read, 2 write, 4 delete, 8 list.
    pub permissions: i64,
}

fn text(entity: &Entity, name: &str) -> String {
    entity.text(name).unwrap_or_default().to_owned()
}

impl From<&Entity> for Asset {
    fn from(entity: &Entity) -> Self {
        debug_assert_eq!(entity.set_of(), Set::Assets);
        Self {
            id: entity.key().to_owned(),
            name: text(entity, "Name"),
            alternate_id: entity.text("AlternateId").map(str::to_owned),
            options: entity.number("Options").unwrap_or(0),
            container: container_of(entity.key()),
            content_keys: entity.links("ContentKeys").to_vec(),
            delivery_policies: entity.links("DeliveryPolicies").to_vec(),
        }
    }
}

impl From<&Entity> for AssetFile {
    fn from(entity: &Entity) -> Self {
        debug_assert_eq!(entity.set_of(), Set::Files);
        Self {
            id: entity.key().to_owned(),
            name: text(entity, "Name"),
            size: entity.number("ContentFileSize").unwrap_or(0),
            is_primary: entity.flag("IsPrimary"),
            mime_type: entity.text("MimeType").map(str::to_owned),
        }
    }
}

impl From<&Entity> for Locator {
    fn from(entity: &Entity) -> Self {
        debug_assert_eq!(entity.set_of(), Set::Locators);
        Self {
            id: entity.key().to_owned(),
            uuid: super::state::uuid_of(entity.key()),
            kind: entity.number("Type").unwrap_or(0),
            asset_id: text(entity, "AssetId"),
            access_policy_id: text(entity, "AccessPolicyId"),
            path: text(entity, "Path"),
            start: entity.date("StartTime"),
            expires: entity.date("ExpirationDateTime"),
            name: entity.text("Name").map(str::to_owned),
        }
    }
}

impl From<&Entity> for AccessPolicy {
    fn from(entity: &Entity) -> Self {
        debug_assert_eq!(entity.set_of(), Set::AccessPolicies);
        Self {
            id: entity.key().to_owned(),
            name: text(entity, "Name"),
            duration_minutes: entity.double("DurationInMinutes").unwrap_or(0.0),
            permissions: entity.number("Permissions").unwrap_or(0),
        }
    }
}
