//! The tables of storage accounts, streaming endpoints, operations, and of keys and their policies.

use super::{many, p};
use crate::emulator::odata::edm::Kind::{Boolean, Collection, Complex, DateTime, Int32, Int64, Text};
use crate::emulator::odata::schema::Access::{Free, Once, OnceRequired, Service};
use crate::emulator::odata::schema::{Schema, Set};

pub(super) const STORAGE_ACCOUNT: Schema = Schema {
    name: "StorageAccounts",
    type_name: "StorageAccount",
    prefix: "",
    properties: &[p("Name", Text, Service), p("IsDefault", Boolean, Service), p("BytesUsed", Int64, Service)],
    navigations: &[],
};

pub(super) const STREAMING_ENDPOINT: Schema = Schema {
    name: "StreamingEndpoints",
    type_name: "StreamingEndpoint",
    prefix: "nb:oid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Name", Text, OnceRequired),
        p("Description", Text, Free),
        p("Created", DateTime, Service),
        p("LastModified", DateTime, Service),
        p("State", Text, Service),
        p("HostName", Text, Service),
        p("ScaleUnits", Int32, Free),
        p("CustomHostNames", Collection("Edm.String"), Free),
        p("AccessControl", Complex, Free),
        p("CacheControl", Complex, Free),
        p("CrossSiteAccessPolicies", Complex, Free),
        p("CdnEnabled", Boolean, Free),
        p("CdnProvider", Text, Free),
        p("CdnProfile", Text, Free),
        p("StreamingEndpointVersion", Text, Free),
        p("FreeTrialEndTime", DateTime, Service),
    ],
    navigations: &[],
};

pub(super) const OPERATION: Schema = Schema {
    name: "Operations",
    type_name: "Operation",
    prefix: "nb:opid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("State", Text, Service),
        p("TargetEntityId", Text, Service),
        p("ErrorCode", Text, Service),
        p("ErrorMessage", Text, Service),
    ],
    navigations: &[],
};

pub(super) const CONTENT_KEY: Schema = Schema {
    name: "ContentKeys",
    type_name: "ContentKey",
    prefix: "nb:kid:UUID:",
    properties: &[
        p("Id", Text, OnceRequired),
        p("Created", DateTime, Service),
        p("LastModified", DateTime, Service),
        p("ContentKeyType", Int32, OnceRequired),
        p("EncryptedContentKey", Text, Once),
        p("Name", Text, Free),
        p("ProtectionKeyId", Text, Once),
        p("ProtectionKeyType", Int32, Once),
        p("Checksum", Text, Once),
        p("AuthorizationPolicyId", Text, Free),
        p("TrackIdentifiers", Text, Free),
    ],
    navigations: &[],
};

pub(super) const ASSET_DELIVERY_POLICY: Schema = Schema {
    name: "AssetDeliveryPolicies",
    type_name: "AssetDeliveryPolicy",
    prefix: "nb:adpid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Name", Text, Free),
        p("AssetDeliveryProtocol", Int32, Free),
        p("AssetDeliveryPolicyType", Int32, Free),
        p("AssetDeliveryConfiguration", Text, Free),
        p("Created", DateTime, Service),
        p("LastModified", DateTime, Service),
    ],
    navigations: &[],
};

pub(super) const CONTENT_KEY_AUTHORIZATION_POLICY: Schema = Schema {
    name: "ContentKeyAuthorizationPolicies",
    type_name: "ContentKeyAuthorizationPolicy",
    prefix: "nb:ckpid:UUID:",
    properties: &[p("Id", Text, Service), p("Name", Text, Free)],
    navigations: &[many("Options", Set::ContentKeyAuthorizationPolicyOptions)],
};

pub(super) const CONTENT_KEY_AUTHORIZATION_POLICY_OPTION: Schema = Schema {
    name: "ContentKeyAuthorizationPolicyOptions",
    type_name: "ContentKeyAuthorizationPolicyOption",
    prefix: "nb:ckpoid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Name", Text, Free),
        p("KeyDeliveryType", Int32, Free),
        p("KeyDeliveryConfiguration", Text, Free),
        p(
            "Restrictions",
            Collection("Microsoft.Cloud.Media.Vod.Rest.Data.Models.ContentKeyAuthorizationPolicyRestriction"),
            Free,
        ),
    ],
    navigations: &[],
};
