//! The clients of all sites, made once from the settings, and the pair that one job works with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use url::Url;

use super::engine::Pace;
use super::sas_hold::SasUses;
use crate::blob_store::{BlobAccount, SasStorage};
use crate::failure::Failure;
use crate::http::{HttpClient, StorageTransport};
use crate::media_service::ams_v2::AmsV2;
use crate::model::{CheckedSegments, Cloud, ComparedBytes, PublishedSite, ReplicationJob, Route, SiteName};
use crate::settings::{CopySettings, ReplicationSettings, Settings, SiteKind, SiteSettings, StorageAccess};
use crate::telemetry::CopyMetrics;

/// One data centre with its clients.
#[derive(Debug)]
pub struct Site {
    /// Its name in the settings.
    pub name: SiteName,
    /// Its kind.
    pub kind: SiteKind,
    /// The cloud that it is in.
    pub cloud: Cloud,
    /// Its region, for the event.
    pub region: Option<String>,
    /// Where its streaming endpoint is, when not where the media service says.
    pub streaming_url: Option<Url>,
    /// Its media service; none where streams are served straight from storage.
    pub media: Option<AmsV2>,
    /// Its storage.
    pub storage: SiteStorage,
    /// Plays from its streaming endpoint.
    pub player: HttpClient,
}

/// How the storage of a site is reached.
#[derive(Debug)]
pub enum SiteStorage {
    /// With the storage account's key.
    Key(BlobAccount),
    /// Through the media service's SAS locators, one for each asset while a job works at it.
    Sas(SasStorage),
}

impl SiteStorage {
    fn connect(
        name: &SiteName,
        site: &SiteSettings,
        sas_validity: Duration,
        transport: &StorageTransport,
    ) -> Result<Self, Failure> {
        Ok(match site.storage.access {
            StorageAccess::AccountKey => Self::Key(BlobAccount::new(name, &site.storage, sas_validity, transport)?),
            StorageAccess::SasLocators => {
                let allowed_hosts = site.media.as_ref().map(|media| media.allowed_hosts.as_slice()).unwrap_or_default();
                Self::Sas(SasStorage::new(name, &site.storage, site.cloud, allowed_hosts, transport))
            }
        })
    }
}

impl Site {
    fn connect(
        name: &SiteName,
        site: &SiteSettings,
        settings: &Settings,
        http: &HttpClient,
        transport: &StorageTransport,
    ) -> Result<Self, Failure> {
        let sas_validity = Duration::from_secs(60 * u64::from(settings.replication.sas_minutes));
        Ok(Self {
            name: name.clone(),
            kind: site.kind,
            region: site.region.clone(),
            streaming_url: site.streaming_url.clone(),
            cloud: site.cloud,
            media: match &site.media {
                Some(media) => Some(AmsV2::new(name, site.cloud, media, http.clone(), settings.http.tries)?),
                None => None,
            },
            storage: SiteStorage::connect(name, site, sas_validity, transport)?,
            player: http.clone(),
        })
    }

    /// Its media service.
    ///
    /// # Errors
    /// Permanent `no-media-service` where streams are served straight from storage.
    pub fn media(&self) -> Result<&AmsV2, Failure> {
        self.media.as_ref().ok_or_else(|| {
            Failure::permanent("no-media-service", format!("site '{}' has no media service", self.name))
                .at_site(&self.name)
        })
    }

    /// Scheme, host, port and base path of its streaming endpoint: the setting, else those of `address`, with `https` for
    /// the cloud's own hosts, which answer it although their locators say `http` (contract ams-v2, section 6).
    #[must_use]
    pub fn streaming_base(&self, address: &str) -> Option<Url> {
        if let Some(url) = &self.streaming_url {
            return Some(url.clone());
        }
        let mut base = Url::parse(address).ok()?.join("/").ok()?;
        if base.port().is_none() && self.cloud.is_streaming_host(base.host_str()?) {
            base.set_scheme("https").ok()?;
        }
        Some(base)
    }

    pub(super) fn published(&self, base_url: Url) -> PublishedSite {
        PublishedSite { name: self.name.clone(), kind: self.kind.name(), region: self.region.clone(), base_url }
    }
}

/// All sites and routes of the settings.
#[derive(Debug, Clone)]
pub struct AllSites {
    sites: BTreeMap<SiteName, Arc<Site>>,
    routes: Vec<Route>,
    settings: Arc<ReplicationSettings>,
    closing: TaskTracker,
    sas_uses: SasUses,
    copy: CopySettings,
    copy_tries: usize,
    compared_bytes: ComparedBytes,
    checked_segments: CheckedSegments,
    paces: Arc<Mutex<BTreeMap<(SiteName, SiteName), Pace>>>,
}

/// The two sites of one job.
#[derive(Debug, Clone)]
pub struct Sites {
    /// Where it was encoded.
    pub source: Arc<Site>,
    /// Where it is to be playable too.
    pub replica: Arc<Site>,
    /// How the pipeline works.
    pub settings: Arc<ReplicationSettings>,
    /// What a job that was stopped gives back in the background; see [`AllSites::close`].
    pub closing: TaskTracker,
    pub(super) sas_uses: SasUses,
    /// How fast this route may copy.
    pub(super) pace: Pace,
    /// Tries of one copy request.
    pub(super) copy_tries: usize,
    /// Which bytes of a replica are compared with its source's.
    pub(super) compared_bytes: ComparedBytes,
    /// Of which segments both endpoints are asked.
    pub(super) checked_segments: CheckedSegments,
}

impl Sites {
    /// Copy requests that are under way on this route, of all its jobs.
    #[must_use]
    pub fn copies_under_way(&self) -> usize {
        self.pace.state().in_flight
    }
}

fn connect_all(settings: &Settings) -> Result<BTreeMap<SiteName, Arc<Site>>, Failure> {
    let http = HttpClient::new(&settings.http).map_err(|error| Failure::permanent("http-client", error.to_string()))?;
    let transport = StorageTransport::new(&settings.http)?;
    let connect =
        |(name, site)| Ok((SiteName::clone(name), Arc::new(Site::connect(name, site, settings, &http, &transport)?)));
    settings.sites.iter().map(connect).collect()
}

impl AllSites {
    /// Makes the clients; reaches nothing yet.
    ///
    /// # Errors
    /// When a client cannot be built from checked settings, such as a key of the wrong form.
    pub fn connect(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            sites: connect_all(settings)?,
            routes: settings.routes(),
            settings: Arc::new(settings.replication.clone()),
            closing: TaskTracker::new(),
            sas_uses: SasUses::default(),
            copy: settings.copy.clone(),
            copy_tries: settings.http.tries,
            compared_bytes: settings.verify.bytes,
            checked_segments: settings.verify.segments,
            paces: Arc::default(),
        })
    }

    /// The same with other secrets: clients are made anew, and what jobs share and have learnt stays shared.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn renewed(&self, settings: &Settings) -> Result<Self, Failure> {
        Ok(Self { sites: connect_all(settings)?, ..self.clone() })
    }

    /// Every site, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.values()
    }

    /// The routes, by source.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// One site by its name.
    ///
    /// # Errors
    /// `Invalid` when the settings have no such site.
    pub fn site(&self, name: &SiteName) -> Result<&Arc<Site>, Failure> {
        let unknown = || {
            let known = self.sites.keys().map(SiteName::as_str).collect::<Vec<_>>().join(", ");
            Failure::invalid("unknown-site", format!("there is no site '{name}' in the settings, only: {known}"))
        };
        self.sites.get(name).ok_or_else(unknown)
    }

    /// The two sites of `job`.
    ///
    /// # Errors
    /// `Invalid` when the settings lack one of them.
    pub fn pair(&self, job: &ReplicationJob) -> Result<Sites, Failure> {
        self.route(&job.source, &job.replica)
    }

    /// Two sites.
    ///
    /// # Errors
    /// `Invalid` when the settings lack one of them.
    pub fn route(&self, source: &SiteName, replica: &SiteName) -> Result<Sites, Failure> {
        Ok(Sites {
            source: Arc::clone(self.site(source)?),
            replica: Arc::clone(self.site(replica)?),
            settings: Arc::clone(&self.settings),
            closing: self.closing.clone(),
            sas_uses: self.sas_uses.clone(),
            pace: self.pace(source, replica),
            copy_tries: self.copy_tries,
            compared_bytes: self.compared_bytes,
            checked_segments: self.checked_segments,
        })
    }

    /// What all jobs from one site to another share, for as long as the worker runs.
    fn pace(&self, source: &SiteName, replica: &SiteName) -> Pace {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces
            .entry((source.clone(), replica.clone()))
            .or_insert_with(|| Pace::new(&self.copy, CopyMetrics::of(source.as_str(), replica.as_str())))
            .clone()
    }

    /// Waits until stopped jobs have given back what they held at the sites, for `patience` at most. To be called when no
    /// job runs any longer and the process is about to end.
    pub async fn close(&self, patience: Duration) {
        self.closing.close();
        if tokio::time::timeout(patience, self.closing.wait()).await.is_err() {
            tracing::warn!(left = self.closing.len(), "not all that stopped jobs held at the sites is given back yet");
        }
    }
}
