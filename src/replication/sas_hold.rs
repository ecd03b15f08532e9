//! Who in this process works with which SAS locator: the last to go deletes it, or the next where it is dead.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use time::OffsetDateTime;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::failure::Failure;
use crate::media_service::ams_v2::{AmsV2, SasLocator, SasPurpose};
use crate::model::SiteName;

/// A locator made later by more than this is another one, for dates come back rounded.
const ROUNDING: time::Duration = time::Duration::seconds(1);

/// The SAS locators that jobs of this process work with.
#[derive(Debug, Clone, Default)]
pub struct SasUses(Arc<Mutex<HashMap<Key, Weak<Uses>>>>);

type Key = (SiteName, String, SasPurpose);

/// The jobs that work with one locator.
#[derive(Debug, Default)]
struct Uses {
    jobs: AtomicUsize,
    /// Storage refuses it: whoever goes next deletes it, and the others make it anew.
    is_dead: AtomicBool,
    /// Held while it is made or deleted, so that nobody finds what somebody is about to delete.
    calls: tokio::sync::Mutex<()>,
}

impl SasUses {
    /// Counts one more job; nothing is made yet.
    pub fn hold(
        &self,
        site: &SiteName,
        media: &AmsV2,
        asset_id: &str,
        purpose: SasPurpose,
        closing: &TaskTracker,
    ) -> SasHold {
        let key = (site.clone(), asset_id.to_ascii_lowercase(), purpose);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, uses| uses.strong_count() > 0);
        let uses = all.get(&key).and_then(Weak::upgrade).unwrap_or_default();
        uses.jobs.fetch_add(1, Ordering::SeqCst);
        all.insert(key, Arc::downgrade(&uses));
        let locator =
            Locator { site: site.clone(), media: media.clone(), asset_id: asset_id.to_owned(), purpose, uses };
        SasHold(Arc::new(Held { locator, closing: closing.clone(), is_over: AtomicBool::new(false) }))
    }
}

/// What has become of a SAS locator that storage refuses.
pub enum Fate {
    /// Somebody has deleted it.
    Deleted,
    /// Somebody has made another in its place.
    MadeAnew,
    /// It is there: the next job to go deletes it.
    Condemned,
}

/// One job's part in a SAS locator. Given back in the background when it is dropped.
#[derive(Debug, Clone)]
pub struct SasHold(Arc<Held>);

#[derive(Debug)]
struct Held {
    locator: Locator,
    closing: TaskTracker,
    is_over: AtomicBool,
}

#[derive(Debug, Clone)]
struct Locator {
    site: SiteName,
    media: AmsV2,
    asset_id: String,
    purpose: SasPurpose,
    uses: Arc<Uses>,
}

impl SasHold {
    /// The locator, made where it is missing.
    ///
    /// # Errors
    /// As [`crate::media_service::ams_v2::AmsV2::ensure_sas_locator`].
    pub async fn ensure(&self) -> Result<SasLocator, Failure> {
        let hold = self.clone();
        // In a task of its own, which holds on too: a job that is stopped in the middle leaves none half made.
        self.in_background(async move {
            let Locator { media, asset_id, purpose, uses, .. } = &hold.0.locator;
            let _calls = uses.calls.lock().await;
            media.ensure_sas_locator(asset_id, *purpose).await
        })
        .await
    }

    /// What has become of the locator that was made at `made_at`, which storage refuses although it is old enough.
    ///
    /// # Errors
    /// As every call.
    pub async fn condemn(&self, made_at: OffsetDateTime) -> Result<Fate, Failure> {
        let Locator { media, asset_id, purpose, uses, .. } = &self.0.locator;
        // So that nobody condemns what somebody has deleted since.
        let _calls = uses.calls.lock().await;
        Ok(match media.find_sas_locator(asset_id, *purpose).await? {
            None => Fate::Deleted,
            Some(found) if found.made_at - made_at > ROUNDING => Fate::MadeAnew,
            Some(_) => {
                uses.is_dead.store(true, Ordering::SeqCst);
                Fate::Condemned
            }
        })
    }

    /// Ends this job's part and leaves the locator for the next slice.
    pub fn keep(self) {
        if !self.0.is_over.swap(true, Ordering::SeqCst) {
            self.0.locator.uses.jobs.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Ends this job's part; the last one deletes the locator, whoever made it, and a dead one the first. Goes on in the background when the job is
    /// stopped meanwhile.
    ///
    /// # Errors
    /// As every call.
    pub async fn release(self) -> Result<(), Failure> {
        if self.0.is_over.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let locator = self.0.locator.clone();
        self.in_background(async move { locator.leave().await }).await
    }

    /// For people: which locator of which site.
    pub fn name(&self) -> String {
        let Locator { site, asset_id, purpose, .. } = &self.0.locator;
        format!("{} of asset {asset_id} at {}", purpose.id(asset_id), site)
    }

    async fn in_background<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        self.0.closing.spawn(work.in_current_span()).await.unwrap_or_else(|error| {
            Err(Failure::transient("panicked", format!("a call for a SAS locator broke off, which is a bug: {error}")))
        })
    }
}

impl Locator {
    async fn leave(&self) -> Result<(), Failure> {
        let _calls = self.uses.calls.lock().await;
        let is_last = self.uses.jobs.fetch_sub(1, Ordering::SeqCst) == 1;
        if !is_last && !self.uses.is_dead.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.media.delete_sas_locators(&self.asset_id, self.purpose).await?;
        self.uses.is_dead.store(false, Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_over.swap(true, Ordering::SeqCst) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let locator = self.locator.clone();
        let leave = async move {
            if let Err(failure) = locator.leave().await {
                let id = locator.purpose.id(&locator.asset_id);
                tracing::warn!(locator = %id, asset = locator.asset_id, site = %locator.site, error = %failure,
                    "SAS locator of a stopped job not deleted; the next run of this asset deletes it");
            }
        };
        self.closing.spawn_on(leave.in_current_span(), &runtime);
    }
}
