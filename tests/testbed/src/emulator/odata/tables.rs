//! The property tables behind the schema, in the order in which the service writes them.

use super::edm::Kind::{self, Boolean, Collection, Complex, DateTime, Double, Int32, Int64, Text};
use super::schema::Access::{self, Free, Once, OnceRequired, Required, Service};
use super::schema::{Navigation, Property, Schema, Set};

pub(super) const fn schema_of(set: Set) -> &'static Schema {
    match set {
        Set::AccessPolicies => &ACCESS_POLICY,
        Set::AssetDeliveryPolicies => &ASSET_DELIVERY_POLICY,
        Set::AssetFilters => &ASSET_FILTER,
        Set::Assets => &ASSET,
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

const ASSET: Schema = Schema {
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

const ASSET_FILE: Schema = Schema {
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

const ACCESS_POLICY: Schema = Schema {
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

const LOCATOR: Schema = Schema {
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

const JOB: Schema = Schema {
    name: "Jobs",
    type_name: "Job",
    prefix: "nb:jid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Name", Text, Free),
        p("Created", DateTime, Service),
        p("LastModified", DateTime, Service),
        p("EndTime", DateTime, Service),
        p("Priority", Int32, Free),
        p("RunningDuration", Double, Service),
        p("StartTime", DateTime, Service),
        p("State", Int32, Service),
        p("TemplateId", Text, Once),
        p(
            "JobNotificationSubscriptions",
            Collection("Microsoft.Cloud.Media.Vod.Rest.Data.Models.JobNotificationSubscription"),
            Once,
        ),
    ],
    navigations: &[
        many("Tasks", Set::Tasks),
        many("OutputMediaAssets", Set::Assets),
        many("InputMediaAssets", Set::Assets),
    ],
};

const TASK: Schema = Schema {
    name: "Tasks",
    type_name: "Task",
    prefix: "nb:tid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Configuration", Text, Once),
        p("EndTime", DateTime, Service),
        p("ErrorDetails", Collection("Microsoft.Cloud.Media.Vod.Rest.Data.Models.ErrorDetail"), Service),
        p("HistoricalEvents", Collection("Microsoft.Cloud.Media.Vod.Rest.Data.Models.TaskHistoricalEvent"), Service),
        p("MediaProcessorId", Text, OnceRequired),
        p("Name", Text, Once),
        p("PerfMessage", Text, Service),
        p("Priority", Int32, Free),
        p("Progress", Double, Service),
        p("RunningDuration", Double, Service),
        p("StartTime", DateTime, Service),
        p("State", Int32, Service),
        p("TaskBody", Text, OnceRequired),
        p("Options", Int32, Once),
        p("EncryptionKeyId", Text, Once),
        p("EncryptionScheme", Text, Once),
        p("EncryptionVersion", Text, Once),
        p("InitializationVector", Text, Once),
        p(
            "TaskNotificationSubscriptions",
            Collection("Microsoft.Cloud.Media.Vod.Rest.Data.Models.TaskNotificationSubscription"),
            Once,
        ),
    ],
    navigations: &[many("OutputMediaAssets", Set::Assets), many("InputMediaAssets", Set::Assets)],
};

const MEDIA_PROCESSOR: Schema = Schema {
    name: "MediaProcessors",
    type_name: "MediaProcessor",
    prefix: "nb:mpid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Description", Text, Service),
        p("Name", Text, Service),
        p("Sku", Text, Service),
        p("Vendor", Text, Service),
        p("Version", Text, Service),
    ],
    navigations: &[],
};

const NOTIFICATION_END_POINT: Schema = Schema {
    name: "NotificationEndPoints",
    type_name: "NotificationEndPoint",
    prefix: "nb:nepid:UUID:",
    properties: &[
        p("Id", Text, Service),
        p("Name", Text, Free),
        p("Created", DateTime, Service),
        p("EndPointAddress", Text, OnceRequired),
        p("EndPointType", Int32, OnceRequired),
        p("CredentialType", Int32, Free),
        p("EncryptedEndPointCredential", Text, Free),
        p("ProtectionKeyId", Text, Free),
        p("ProtectionKeyType", Int32, Free),
    ],
    navigations: &[],
};

const STORAGE_ACCOUNT: Schema = Schema {
    name: "StorageAccounts",
    type_name: "StorageAccount",
    prefix: "",
    properties: &[p("Name", Text, Service), p("IsDefault", Boolean, Service), p("BytesUsed", Int64, Service)],
    navigations: &[],
};

const STREAMING_ENDPOINT: Schema = Schema {
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

const CONTENT_KEY: Schema = Schema {
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

const ASSET_DELIVERY_POLICY: Schema = Schema {
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

const ASSET_FILTER: Schema = Schema {
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

const OPERATION: Schema = Schema {
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
