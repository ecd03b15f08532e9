//! Checks that types cannot make: ranges, references between keys, addresses.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::model::{Cloud, SiteName};

use super::{
    Authentication, MediaSettings, RabbitmqSettings, Settings, SiteKind, SiteSettings, StorageAccess, StorageSettings,
};

/// One wrong setting: the key, and what is wrong with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, dots between its words.
    pub key: String,
    /// What is wrong and what to do; never the value of a secret.
    pub problem: String,
}

impl Problem {
    /// One wrong setting.
    pub fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem)
    }
}

/// Everything that is wrong with `settings`.
pub fn problems(settings: &Settings) -> Vec<Problem> {
    let mut found = numbers(settings);
    found.extend(broker(settings));
    for (name, site) in &settings.sites {
        found.extend(
            self::site(site).into_iter().map(|(key, problem)| Problem::new(format!("sites.{name}.{key}"), problem)),
        );
    }
    found.extend(shared_principals(settings));
    found.extend(routes(settings));
    found
}

fn numbers(settings: &Settings) -> Vec<Problem> {
    let positive = [
        ("worker.concurrency", u64::from(settings.worker.concurrency)),
        ("worker.max_hold_seconds", settings.worker.max_hold_seconds),
        ("worker.slice_seconds", settings.worker.slice_seconds),
        ("worker.job_deadline_seconds", settings.worker.job_deadline_seconds),
        ("worker.max_message_bytes", settings.worker.max_message_bytes as u64),
        ("rabbitmq.timeout_seconds", settings.rabbitmq.timeout_seconds),
        ("rabbitmq.max_blocked_seconds", settings.rabbitmq.max_blocked_seconds),
        ("replication.locator_days", u64::from(settings.replication.locator_days)),
        ("copy.max_requests", settings.copy.max_requests as u64),
        ("replication.sas_minutes", u64::from(settings.replication.sas_minutes)),
        ("http.connect_timeout_seconds", settings.http.connect_timeout_seconds),
        ("http.timeout_seconds", settings.http.timeout_seconds),
        ("http.storage_timeout_seconds", settings.http.storage_timeout_seconds),
        ("http.max_response_bytes", settings.http.max_response_bytes as u64),
        ("http.tries", settings.http.tries as u64),
    ];
    let zeros = positive.into_iter().filter(|(_, value)| *value == 0);
    let mut found: Vec<_> = zeros.map(|(key, _)| Problem::new(key, "must be at least 1")).collect();
    let third = settings.worker.max_hold_seconds / 3;
    for (key, value) in [
        ("worker.slice_seconds", settings.worker.slice_seconds),
        ("http.storage_timeout_seconds", settings.http.storage_timeout_seconds),
    ] {
        if value > third {
            let problem = format!("must be at most a third of worker.max_hold_seconds: {third}, or raise that");
            found.push(Problem::new(key, problem));
        }
    }
    found.extend(settings.http.extra_roots().err().map(|problem| Problem::new("http.ca_file", problem)));
    if !(0.0..=1.0).contains(&settings.traces.sample_ratio) {
        found.push(Problem::new("traces.sample_ratio", "must be a number from 0 to 1"));
    }
    if settings.traces.otlp_url.as_ref().is_some_and(|url| !matches!(url.scheme(), "http" | "https")) {
        found.push(Problem::new("traces.otlp_url", "must begin with http:// or https://"));
    }
    if !settings.replication.probe_path.starts_with('/') {
        found.push(Problem::new("replication.probe_path", "must begin with a slash"));
    }
    found
}

fn broker(settings: &Settings) -> Vec<Problem> {
    let rabbitmq = &settings.rabbitmq;
    let mut found = Vec::new();
    if let Some(problem) = rabbitmq.url.as_ref().and_then(super::BrokerUrl::problem) {
        found.push(Problem::new("rabbitmq.url", problem));
    }
    found.extend(broker_tls(rabbitmq));
    let delays = &rabbitmq.retry_delays_seconds;
    if delays.is_empty() || delays[0] == 0 || !delays.is_sorted_by(|a, b| a < b) {
        found.push(Problem::new(
            "rabbitmq.retry_delays_seconds",
            "must be one or more numbers, ascending, none of them 0",
        ));
    }
    for (key, name) in [
        ("rabbitmq.prefix", &rabbitmq.prefix),
        ("rabbitmq.events_exchange", &rabbitmq.events_exchange),
        ("rabbitmq.outgoing_exchange", &rabbitmq.outgoing_exchange),
    ] {
        if name.is_empty() || name.len() > 200 || name.starts_with("amq.") {
            found.push(Problem::new(
                key,
                "must be 1 to 200 bytes and not begin with 'amq.', which the broker keeps for itself",
            ));
        }
    }
    found
}

fn broker_tls(rabbitmq: &RabbitmqSettings) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Err((key, problem)) = rabbitmq.tls() {
        found.push(Problem::new(key, problem));
    }
    let is_plain = rabbitmq.url.as_ref().is_some_and(|url| !url.is_tls());
    for (key, file) in
        [("rabbitmq.ca_file", &rabbitmq.ca_file), ("rabbitmq.certificate_file", &rabbitmq.certificate_file)]
    {
        if file.is_some() && is_plain {
            found.push(Problem::new(key, "is of no use without TLS: begin rabbitmq.url with amqps://"));
        }
    }
    if rabbitmq.certificate_key_file.is_some() && rabbitmq.certificate_file.is_none() {
        found.push(Problem::new("rabbitmq.certificate_key_file", "needs rabbitmq.certificate_file beside it"));
    }
    if rabbitmq.authentication == Authentication::Certificate && rabbitmq.certificate_file.is_none() {
        let problem = "\"certificate\" needs one: set rabbitmq.certificate_file";
        found.push(Problem::new("rabbitmq.authentication", problem));
    }
    found
}

fn site(site: &SiteSettings) -> Vec<(&'static str, String)> {
    let mut found = match (site.kind, &site.media) {
        (SiteKind::AmsV2, Some(media)) => self::media(media, site.cloud),
        (SiteKind::AmsV2, None) => vec![("media", "is missing: kind \"ams-v2\" needs its account".to_owned())],
        (SiteKind::StaticOrigin, Some(_)) => {
            vec![("media", "is not used by kind \"static-origin\": remove it, or set kind = \"ams-v2\"".to_owned())]
        }
        (SiteKind::StaticOrigin, None) => Vec::new(),
    };
    if site.kind == SiteKind::StaticOrigin && site.storage.access == StorageAccess::SasLocators {
        let problem = "must be \"account-key\" for kind \"static-origin\": nobody else makes signatures there";
        return found.into_iter().chain([("storage.access", problem.to_owned())]).collect();
    }
    found.extend(storage(&site.storage).into_iter().map(|(key, problem)| (key, problem.to_owned())));
    found
}

fn media(media: &MediaSettings, cloud: Cloud) -> Vec<(&'static str, String)> {
    let mut found = media.identity(cloud).err().unwrap_or_default();
    found.extend(media.api_root(cloud).err());
    found.extend(media.wrong_hosts().map(|problem| ("media.allowed_hosts", problem)));
    if media.account.is_empty() {
        found.push(("media.account", "must not be empty".to_owned()));
    }
    found
}

fn storage(storage: &StorageSettings) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    match (storage.access, &storage.key) {
        (StorageAccess::AccountKey, None) => found.push((
            "storage.key",
            "is missing: set key or key_file, or access = \"sas-locators\" to work without the account's key",
        )),
        (StorageAccess::AccountKey, Some(key)) if key.expose().is_empty() => {
            found.push(("storage.key", "must not be empty"));
        }
        (StorageAccess::AccountKey, Some(key)) if BASE64_STANDARD.decode(key.expose()).is_err() => {
            found.push(("storage.key", "is not base64: copy the account key as the portal shows it"));
        }
        (StorageAccess::SasLocators, Some(_)) => found.push((
            "storage.key",
            "is not used with access = \"sas-locators\": remove key and key_file, or set access = \"account-key\"",
        )),
        (StorageAccess::AccountKey, Some(_)) | (StorageAccess::SasLocators, None) => {}
    }
    match &storage.account {
        Some(account) if account.is_empty() => found.push(("storage.account", "must not be empty")),
        None if storage.access == StorageAccess::AccountKey => {
            found.push(("storage.account", "is missing: set the name of the storage account"));
        }
        Some(account) if storage.blob_url.is_none() && !is_storage_account(account) => {
            found.push((
                "storage.account",
                "is not the name of a storage account: 3 to 24 lower-case letters and digits",
            ));
        }
        _ => {}
    }
    found
}

/// The rule of Azure Storage for names, which are part of addresses.
fn is_storage_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// A token of Entra ID names no account, so what is asked at one door by one principal is one account. Neither the path of
/// the door nor an application's id knows upper from lower case; a tenant has several names, and the id is unique without it.
fn shared_principals(settings: &Settings) -> Vec<Problem> {
    let asking = |site: &SiteSettings| {
        let media = site.media.as_ref()?;
        let (client_id, door) = (media.client_id.as_ref()?, media.api_root(site.cloud).ok()?);
        Some((client_id.to_ascii_lowercase(), door.origin(), door.path().to_ascii_lowercase()))
    };
    let sites: Vec<_> = settings.sites.iter().collect();
    let mut found = Vec::new();
    for (at, (name, site)) in sites.iter().enumerate() {
        let same = |other: &&&(&SiteName, &SiteSettings)| {
            let account = |site: &SiteSettings| site.media.as_ref().map(|media| media.account.clone());
            asking(site).is_some() && asking(site) == asking(other.1) && account(site) != account(other.1)
        };
        if let Some((other, _)) = sites[..at].iter().find(|other| same(&other)) {
            let problem = format!(
                "is missing: its front door cannot tell this account from that of site '{other}', as both have one \
                 service principal: set the regions, or a principal for each"
            );
            found.push(Problem::new(format!("sites.{name}.media.region"), problem));
        }
    }
    found
}

fn routes(settings: &Settings) -> Vec<Problem> {
    let mut found = Vec::new();
    for (source, route) in &settings.routes {
        let key = format!("routes.{source}");
        if !settings.sites.contains_key(source) {
            found.push(Problem::new(&key, format!("there is no site '{source}': add [sites.{source}]")));
        }
        if route.replicas.is_empty() {
            found.push(Problem::new(format!("{key}.replicas"), "must name at least one site"));
        }
        for (at, replica) in route.replicas.iter().enumerate() {
            if replica == source {
                found.push(Problem::new(format!("{key}.replicas"), "a site cannot be its own replica"));
            } else if !settings.sites.contains_key(replica) {
                found.push(Problem::new(
                    format!("{key}.replicas"),
                    format!("there is no site '{replica}': add [sites.{replica}]"),
                ));
            } else if route.replicas[..at].contains(replica) {
                found.push(Problem::new(format!("{key}.replicas"), format!("names '{replica}' twice")));
            } else if let Some(problem) = different_kinds(settings, source, replica) {
                found.push(Problem::new(format!("{key}.replicas"), problem));
            }
        }
    }
    found
}

/// What is streamed at one kind of site cannot be streamed at another under the same path.
fn different_kinds(settings: &Settings, source: &SiteName, replica: &SiteName) -> Option<String> {
    let kind = |name| settings.sites.get(name).map(|site| site.kind);
    let (from, to) = (kind(source)?, kind(replica)?);
    (from != to).then(|| {
        let (from, to) = (from.name(), to.name());
        format!("names '{replica}', which is of kind \"{to}\", while '{source}' is of kind \"{from}\": both must be of one kind")
    })
}
