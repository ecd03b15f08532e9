//! The property tables behind the schema, in the order in which the service writes them.

mod assets;
mod delivery;
mod encoding;

use super::edm::Kind;
use super::schema::{Access, Navigation, Property, Schema, Set};
use assets::{ACCESS_POLICY, ASSET, ASSET_FILE, ASSET_FILTER, LOCATOR};
use delivery::{
    ASSET_DELIVERY_POLICY, CONTENT_KEY, CONTENT_KEY_AUTHORIZATION_POLICY, CONTENT_KEY_AUTHORIZATION_POLICY_OPTION,
    OPERATION, STORAGE_ACCOUNT, STREAMING_ENDPOINT,
};
use encoding::{JOB, MEDIA_PROCESSOR, NOTIFICATION_END_POINT, TASK};

pub(super) const fn schema_of(set: Set) -> &'static Schema {
    match set {
        Set::AccessPolicies => &ACCESS_POLICY,
        Set::AssetDeliveryPolicies => &ASSET_DELIVERY_POLICY,
        Set::AssetFilters => &ASSET_FILTER,
        Set::Assets => &ASSET,
        Set::ContentKeyAuthorizationPolicies => &CONTENT_KEY_AUTHORIZATION_POLICY,
        Set::ContentKeyAuthorizationPolicyOptions => &CONTENT_KEY_AUTHORIZATION_POLICY_OPTION,
        Set::ContentKeys => &CONTENT_KEY,
        Set::Files => &ASSET_FILE,
        Set::Jobs => &JOB,
        Set::Locators => &LOCATOR,
        Set::MediaProcessors => &MEDIA_PROCESSOR,
        Set::NotificationEndPoints => &NOTIFICATION_END_POINT,
        Set::Operations => &OPERATION,
        Set::StorageAccounts => &STORAGE_ACCOUNT,
        Set::StreamingEndpoints => &STREAMING_ENDPOINT,
        Set::Tasks => &TASK,
    }
}

const fn p(name: &'static str, kind: Kind, access: Access) -> Property {
    Property { name, kind, access }
}

const fn many(name: &'static str, target: Set) -> Navigation {
    Navigation { name, target, many: true }
}

const fn one(name: &'static str, target: Set) -> Navigation {
    Navigation { name, target, many: false }
}
