//! How a job reaches the containers of its two assets: with an account's key, or through SAS locators, which are then
//! deleted however the job ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tracing::Instrument;

use super::budget::Budget;
use super::sas_hold::{Fate, SasHold};
use super::sites::{Site, SiteStorage, Sites};
use crate::blob_store::Container;
use crate::failure::{Failure, FailureKind};
use crate::media_service::ams_v2::{SasLocator, SasPurpose};
use crate::model::{Asset, AssetMark, ReplicationJob};

/// How long a new locator may be refused: it takes 30 to 40 s to get through to storage (contract ams-v2, section 4.4).
const LAG: time::Duration = time::Duration::minutes(10);
/// When to look again meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long a job that has failed waits for its locators to be deleted; they are deleted in the background after that.
const PATIENCE: Duration = Duration::from_secs(20);

/// The containers of one job's two assets, each opened when it is first needed.
#[derive(Debug)]
pub struct Storage<'a> {
    job: &'a ReplicationJob,
    sites: &'a Sites,
    source: Side,
    replica: Side,
}

/// One of the two containers.
#[derive(Debug)]
struct Side {
    site: Arc<Site>,
    purpose: SasPurpose,
    container: OnceCell<Container>,
    /// Known from the moment a locator may exist.
    hold: Mutex<Option<SasHold>>,
    locator: OnceCell<SasLocator>,
}

impl Side {
    fn new(site: &Arc<Site>, purpose: SasPurpose) -> Self {
        let site = Arc::clone(site);
        Self { site, purpose, container: OnceCell::new(), hold: Mutex::default(), locator: OnceCell::new() }
    }

    async fn open(&self, asset: &Asset, sites: &Sites) -> Result<Container, Failure> {
        let opened = self.container.get_or_try_init(|| async {
            let storage = match &self.site.storage {
                SiteStorage::Key(account) => return Ok(account.container(&asset.container)),
                SiteStorage::Sas(storage) => storage,
            };
            let hold =
                sites.sas_uses.hold(&self.site.name, self.site.media()?, &asset.id, self.purpose, &sites.closing);
            *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold.clone());
            let locator = hold.ensure().await?;
            let container = storage.container(&asset.container, &locator.address, &locator.query)?;
            self.locator.set(locator).ok();
            Ok(container)
        });
        opened.await.cloned()
    }

    fn take_hold(&self) -> Option<SasHold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn needs_locators(&self) -> bool {
        matches!(self.site.storage, SiteStorage::Sas(_))
    }
}

impl<'a> Storage<'a> {
    pub fn new(job: &'a ReplicationJob, sites: &'a Sites) -> Self {
        let (source, replica) = (&sites.source, &sites.replica);
        let source = Side::new(source, SasPurpose::Read);
        Self { job, sites, source, replica: Side::new(replica, SasPurpose::Write) }
    }

    /// The source asset's container, to list and to copy from.
    pub async fn source(&self, asset: &Asset) -> Result<Container, Failure> {
        self.source.open(asset, self.sites).await
    }

    /// The replica asset's container, to list and to write to.
    pub async fn replica(&self, asset: &Asset) -> Result<Container, Failure> {
        self.replica.open(asset, self.sites).await
    }

    /// Ends the job's use of storage: no locator stays behind, but for a job that goes on in its next slice, for a locator
    /// that is deleted each time would never get through to storage.
    ///
    /// # Errors
    /// The job's own failure, told as what it is where a locator is behind it; transient `sas-locator-left` where all is
    /// done, a locator cannot be deleted, and another try may do it.
    pub async fn close<T>(self, result: Result<T, Failure>, budget: Budget) -> Result<T, Failure> {
        let failure = match result {
            Ok(done) => return self.release(budget).await.map(|()| done),
            Err(failure) => self.explain(failure).await,
        };
        match failure.kind {
            FailureKind::NeedsMoreTime { check_after } if budget.goes_on_after(check_after) => {
                [self.source, self.replica].iter().filter_map(Side::take_hold).for_each(SasHold::keep);
            }
            _ => self.sweep().await,
        }
        Err(failure)
    }

    async fn release(&self, budget: Budget) -> Result<(), Failure> {
        for side in [&self.source, &self.replica] {
            let Some(hold) = side.take_hold() else { continue };
            let name = hold.name();
            let Err(failure) = hold.release().await else { continue };
            let wait = failure.retry_after();
            if !failure.is_transient() || !budget.goes_on_after(wait.unwrap_or_default()) {
                // What is replicated is announced all the same: the locator ends by itself.
                tell_left(&name, &failure);
                continue;
            }
            let message = format!("all is replicated, but SAS locator {name} cannot be deleted: {failure}");
            return Err(Failure::transient("sas-locator-left", message)
                .with_hint("the next try deletes it and announces the replica; look at the media service if it goes on")
                .with_retry_after(wait)
                .at_site(&side.site.name)
                .at_step("delete_sas_locators"));
        }
        Ok(())
    }

    /// Deletes what this slice of the job has opened, and what earlier ones have left that this one did not come to.
    pub async fn sweep(&self) {
        let (source, replica) = (self.sweep_source(), self.sweep_replica());
        // In a task of its own: it is done, however long it takes and whoever stops waiting for it.
        let all = async { futures::join!(source, replica) };
        let all = self.sites.closing.spawn(all.in_current_span());
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!(
                asset = self.job.asset_id,
                "SAS locators are not deleted yet; that goes on in the background"
            );
        }
    }

    fn sweep_source(&self) -> impl Future<Output = ()> + use<> {
        let side = &self.source;
        let opened = || side.take_hold().or_else(|| self.hold(side, &self.job.asset_id));
        let hold = side.needs_locators().then(opened).flatten();
        async {
            if let Some(hold) = hold {
                release_or_tell(hold).await;
            }
        }
    }

    fn sweep_replica(&self) -> impl Future<Output = ()> + use<> {
        let (needs_locators, opened) = (self.replica.needs_locators(), self.replica.take_hold());
        let mark = AssetMark { source: self.job.source.clone(), asset_id: self.job.asset_id.clone() };
        let sites = self.sites.clone();
        async move {
            if !needs_locators {
                return;
            }
            if let Some(hold) = opened {
                return release_or_tell(hold).await;
            }
            let Sites { replica, sas_uses, closing, .. } = &sites;
            let Ok(media) = replica.media() else { return };
            match media.find_replica_assets(&mark).await {
                Ok(ids) => {
                    for id in ids {
                        release_or_tell(sas_uses.hold(&replica.name, media, &id, SasPurpose::Write, closing)).await;
                    }
                }
                Err(failure) => {
                    tracing::warn!(site = %replica.name, asset = mark.asset_id, error = %failure,
                        "cannot look whether an earlier try has left a SAS locator at the replica");
                }
            }
        }
    }

    fn hold(&self, side: &Side, asset_id: &str) -> Option<SasHold> {
        let media = side.site.media().ok()?;
        Some(self.sites.sas_uses.hold(&side.site.name, media, asset_id, side.purpose, &self.sites.closing))
    }

    /// What storage refuses to the bearer of a locator: not ready while the locator is new, else of no use any longer.
    async fn explain(&self, failure: Failure) -> Failure {
        let is_denied = matches!(failure.code, "storage-denied" | "source-denied");
        if !is_denied && !matches!(failure.code, "container-missing" | "blob-gone" | "source-gone") {
            return failure;
        }
        let is_of = |side: &&Side| failure.site.as_ref() == Some(&side.site.name);
        let Some(side) = [&self.source, &self.replica].into_iter().find(is_of) else { return failure };
        let hold = side.hold.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(hold), Some(locator)) = (hold, side.locator.get()) else { return failure };

        let age = OffsetDateTime::now_utc() - locator.made_at;
        let in_place = |new: Failure| {
            let new = new.at_site(&side.site.name);
            match failure.step {
                Some(step) => new.at_step(step),
                None => new,
            }
        };
        let name = hold.name();
        let not_yet = |why: &str| {
            let message = format!("SAS locator {name} {why}: {failure}");
            in_place(Failure::needs_more_time("sas-not-usable-yet", message, LOOK_AGAIN))
        };
        if age < LAG {
            return not_yet(&format!("is not usable yet, {} s after it was made", age.whole_seconds().max(0)));
        }
        if !is_denied {
            return failure;
        }
        match hold.condemn(locator.made_at).await {
            Ok(Fate::Deleted) => not_yet("was deleted meanwhile by another run"),
            Ok(Fate::MadeAnew) => not_yet("was made anew meanwhile by another run"),
            Err(other) => other,
            Ok(Fate::Condemned) => {
                let message = format!("SAS locator {name}, made at {}, is refused: {failure}", locator.made_at);
                in_place(Failure::transient("sas-refused", message).with_hint(
                    "the next try makes a new one; a roll of the storage account's key makes every SAS locator useless, and \
                     if it goes on, the media account may not hold the new key, or the storage account's firewall is closed",
                ))
            }
        }
    }
}

async fn release_or_tell(hold: SasHold) {
    let name = hold.name();
    if let Err(failure) = hold.release().await {
        tell_left(&name, &failure);
    }
}

fn tell_left(name: &str, failure: &Failure) {
    tracing::warn!(locator = name, error = %failure,
        "SAS locator not deleted; the next run of this asset deletes it, or delete it by hand");
}
