//! Typed settings, one struct per room: layers, checks, and printing without secrets.

mod address;
mod admin;
mod broker_tls;
mod certificate;
mod check;
mod http;
mod identity;
mod layers;
mod media;
mod rabbitmq;
mod replication;
mod rotation;
mod secret;
mod site;
mod traces;
mod worker;

pub use admin::AdminSettings;
pub use broker_tls::{BrokerTls, ClientIdentity};
pub use certificate::{CannotSign, ClientCertificate};
pub use check::Problem;
pub use http::{HttpSettings, Resolve};
pub use identity::{Credential, Identity};
pub use layers::{SettingsError, load};
pub use media::MediaSettings;
pub use rabbitmq::{Authentication, BrokerUrl, RabbitmqSettings, TopologyMode};
pub use replication::{CopySettings, ReplicationSettings, VerifySettings};
pub use secret::{Secret, SecretFileError};
pub use site::{RouteSettings, SiteKind, SiteSettings, StorageAccess, StorageSettings};
pub use traces::TracesSettings;
pub use worker::{LogFormat, WorkerSettings};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Route, SiteName};

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The queue worker.
    pub worker: WorkerSettings,
    /// The broker.
    pub rabbitmq: RabbitmqSettings,
    /// The pipeline.
    pub replication: ReplicationSettings,
    /// The copy engine.
    pub copy: CopySettings,
    /// The verification of copies.
    pub verify: VerifySettings,
    /// What a running worker answers over HTTP.
    pub admin: AdminSettings,
    /// The export of traces.
    pub traces: TracesSettings,
    /// Every HTTP call.
    pub http: HttpSettings,
    /// The data centres, by name.
    #[serde(default)]
    pub sites: BTreeMap<SiteName, SiteSettings>,
    /// Which site is replicated to which others, by source.
    #[serde(default)]
    pub routes: BTreeMap<SiteName, RouteSettings>,
}

impl Settings {
    /// The routes as values of the trade.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let route =
            |(source, to): (&SiteName, &RouteSettings)| Route { source: source.clone(), replicas: to.replicas.clone() };
        self.routes.iter().map(route).collect()
    }

    /// The effective settings, one `key = value` a line, secrets redacted.
    #[must_use]
    pub fn to_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match serde_json::to_value(self) {
            Ok(value) => flatten("", &value, &mut lines),
            Err(error) => lines.push(format!("settings cannot be shown: {error}")),
        }
        lines
    }
}

fn flatten(key: &str, value: &serde_json::Value, lines: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, member, lines);
            }
        }
        serde_json::Value::Null => {}
        value => lines.push(format!("{key} = {value}")),
    }
}
