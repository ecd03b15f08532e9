//! One worker per asset and replica: a lease on a marker at the replica, so that two never copy the same asset at once.

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::holder;
use super::sites::{SiteStorage, Sites};
use crate::blob_store::{Acquired, LEASE_SECONDS, Marker};
use crate::failure::Failure;
use crate::model::ReplicationJob;

/// How long a lease lasts without renewal.
const LASTS: Duration = Duration::from_secs(LEASE_SECONDS.unsigned_abs() as u64);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(20);
/// How soon a renewal that failed is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(5);
/// When to ask again for a lease that another worker holds.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The right to replicate one asset to one replica site, for as long as this lives. Given back in the background when it is dropped.
#[derive(Debug)]
pub struct Lease {
    marker: Option<Marker>,
    closing: TaskTracker,
}

/// Does: leases the marker of this asset and replica. The marker is a hint that saves work, never the truth: what two
/// workers do at once is still right, for the mark of the replica asset and the locator's id decide.
/// Safe to repeat because: a lease that a killed worker left behind ends by itself, or is broken where its death is certain.
/// Fails as: `NeedsMoreTime` while another worker is at it.
pub async fn take_lease(job: &ReplicationJob, sites: &Sites) -> Result<Lease, Failure> {
    // A blob's name should not end with a slash, as a folder's does (Azure Blob REST, "Naming and referencing containers").
    let name = format!("{}/{}/{}", job.replica, job.source, job.asset_id.trim_end_matches('/'));
    let SiteStorage::Key(account) = &sites.replica.storage else {
        // Without a key there is no container for markers: the mark of the replica asset decides alone.
        return Ok(Lease { marker: None, closing: sites.closing.clone() });
    };
    let marker = account.marker(&name);
    let mut busy = marker.acquire(holder::own_name()).await?;
    if let Acquired::Busy { holder: Some(holder) } = &busy
        && holder::is_dead(holder)
    {
        tracing::info!(asset = job.asset_id, "the worker that held this asset is dead, its lease is taken over");
        marker.break_lease().await?;
        busy = marker.acquire(holder::own_name()).await?;
    }
    match busy {
        Acquired::Held => Ok(Lease { marker: Some(marker), closing: sites.closing.clone() }),
        Acquired::Busy { .. } => {
            let message = format!("another worker is replicating asset {} to this site", job.asset_id);
            Err(Failure::needs_more_time("asset-in-work", message, ASK_AGAIN).at_site(&sites.replica.name))
        }
    }
}

impl Lease {
    /// Renews the lease again and again; ends only when it is lost, with what the job that needs it then fails as.
    pub async fn keep(&self) -> Failure {
        let Some(marker) = &self.marker else { return std::future::pending().await };
        let (mut renewed, mut wait) = (Instant::now(), RENEW_EVERY);
        loop {
            sleep(wait).await;
            let asked = Instant::now();
            let left = LASTS.saturating_sub(renewed.elapsed() + RENEW_AGAIN);
            let kept = timeout(left, marker.renew()).await;
            let why = match kept {
                Ok(Ok(true)) => {
                    (renewed, wait) = (asked, RENEW_EVERY);
                    continue;
                }
                Ok(Ok(false)) => "another worker has taken it over".to_owned(),
                Ok(Err(failure)) if renewed.elapsed() + RENEW_AGAIN * 2 < LASTS => {
                    tracing::debug!(error = %failure, "lease not renewed, trying again");
                    wait = RENEW_AGAIN;
                    continue;
                }
                Ok(Err(failure)) => failure.to_string(),
                Err(_) => "storage does not answer in time".to_owned(),
            };
            return Failure::needs_more_time(
                "lease-lost",
                format!("the lease on this asset is lost: {why}"),
                ASK_AGAIN,
            );
        }
    }

    /// Gives the lease back. What fails here is only told: it ends by itself.
    pub async fn release(mut self) {
        if let Some(marker) = self.marker.take() {
            remove(marker).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(marker), Ok(runtime)) = (self.marker.take(), tokio::runtime::Handle::try_current()) {
            self.closing.spawn_on(remove(marker), &runtime);
        }
    }
}

async fn remove(marker: Marker) {
    if let Err(failure) = marker.remove().await {
        tracing::warn!(error = %failure, "lease not given back; it ends within {LEASE_SECONDS} s");
    }
}
