//! The tables of assets, files, policies and locators.

use super::{many, one, p};
use crate::emulator::odata::edm::Kind::{Boolean, Complex, DateTime, Double, Int32, Int64, Text};
use crate::emulator::odata::schema::Access::{Free, Once, OnceRequired, Required, Service};
use crate::emulator::odata::schema::{Schema, Set};

pub(super) const ASSET: Schema = Schema {
    name: "Assets",
    type_name: "Asset",
    prefix: "nb:cid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("State", Int32, Service),
        p("Created", DateTime, Service),
        p("LastModified", DateTime, Service),
        p("AlternateId", Text, Free),
        p("Name", Text, Free),
        p("Options", Int32, Once),
        p("FormatOption", Int32, Once),
        p("Uri", Text, Service),
        p("StorageAccountName", Text, Once),
    ],
    navigations: &[
        many("Locators", Set::Locators),
        many("ContentKeys", Set::ContentKeys),
        many("Files", Set::Files),
        many("ParentAssets", Set::Assets),
        many("DeliveryPolicies", Set::AssetDeliveryPolicies),
        many("AssetFilters", Set::AssetFilters),
        one("StorageAccount", Set::StorageAccounts),
        many("AccessPolicies", Set::AccessPolicies),
    ],
};

pub(super) const ASSET_FILE: Schema = Schema {
    name: "Files",
    type_name: "AssetFile",
    prefix: "nb:cid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Name", Text, Required),
        p("ContentFileSize", Int64, Free),
        p("ParentAssetId", Text, OnceRequired),
        p("EncryptionVersion", Text, Free),
        p("EncryptionScheme", Text, Free),
        p("IsEncrypted", Boolean, Free),
        p("EncryptionKeyId", Text, Free),
        p("InitializationVector", Text, Free),
        p("IsPrimary", Boolean, Free),
        p("LastModified", DateTime, Service),
        p("Created", DateTime, Service),
        p("MimeType", Text, Free),
        p("ContentChecksum", Text, Free),
        p("Options", Int32, Free),
    ],
    navigations: &[],
};

pub(super) const ACCESS_POLICY: Schema = Schema {
    name: "AccessPolicies",
    type_name: "AccessPolicy",
    prefix: "nb:pid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Created", DateTime, Service),
        p("LastModified", DateTime, Service),
        p("Name", Text, OnceRequired),
        p("DurationInMinutes", Double, Once),
        p("Permissions", Int32, Once),
    ],
    navigations: &[],
};

pub(super) const LOCATOR: Schema = Schema {
    name: "Locators",
    type_name: "Locator",
    prefix: "nb:lid:UUID:",
    properties: &[
        p("Id", Text, Once),
        p("ExpirationDateTime", DateTime, Free),
        p("Type", Int32, OnceRequired),
        p("Path", Text, Service),
        p("BaseUri", Text, Service),
        p("ContentAccessComponent", Text, Service),
        p("AccessPolicyId", Text, Once),
        p("AssetId", Text, Once),
        p("StartTime", DateTime, Free),
        p("Name", Text, Free),
    ],
    navigations: &[one("AccessPolicy", Set::AccessPolicies), one("Asset", Set::Assets)],
};

pub(super) const ASSET_FILTER: Schema = Schema {
    name: "AssetFilters",
    type_name: "AssetFilter",
    prefix: "nb:afid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("ParentAssetId", Text, OnceRequired),
        p("Name", Text, OnceRequired),
        p("PresentationTimeRange", Complex, Free),
        p("Tracks", Complex, Free),
        p("FirstQuality", Complex, Free),
    ],
    navigations: &[],
};
