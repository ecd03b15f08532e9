//! The tables of jobs, tasks and whom they notify.

use super::{many, p};
use crate::emulator::odata::edm::Kind::{Collection, DateTime, Double, Int32, Text};
use crate::emulator::odata::schema::Access::{Free, Once, OnceRequired, Service};
use crate::emulator::odata::schema::{Schema, Set};

pub(super) const JOB: Schema = Schema {
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

pub(super) const TASK: Schema = Schema {
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

pub(super) const MEDIA_PROCESSOR: Schema = Schema {
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

pub(super) const NOTIFICATION_END_POINT: Schema = Schema {
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
