//! The two storage accounts between which is copied: on the cloud model, or on Azurite.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::cloud::{Comparison, Costs, Counters, Files, Place, Workload as Seed};
use crate::process::{ACCOUNTS, Azurite};
use crate::storage::{BlobInfo, PutOptions, Storage};

use super::meter;
use super::model_process::ModelProcess;
use super::programs::Programs;
use super::workload::Kind;

/// The metadata that our copies have beyond their sources'.
const OUR_METADATA: &str = "stream_replicator_source_etag";
/// Uploads to Azurite at once.
const UPLOADS: usize = 16;
/// A differing blob is named for so many.
const NAMED: usize = 3;

/// Source and replica account behind one address.
pub(super) enum Cloud {
    Model(Box<ModelProcess>),
    Azurite(Azurite),
}

/// From where to where.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) source: String,
    pub(super) replica: String,
}

/// Addresses of both containers that open them by themselves, as azcopy and rclone want them.
pub(super) struct Signed {
    pub(super) source: Url,
    pub(super) replica: Url,
}

impl Cloud {
    /// # Errors
    /// When it cannot be started.
    pub(super) async fn start(kind: Kind, programs: &Programs, costs: &Costs) -> Result<Self> {
        Ok(match kind {
            Kind::Model => Self::Model(Box::new(ModelProcess::start(&programs.model, costs)?)),
            Kind::Azurite => Self::Azurite(Azurite::start(&ACCOUNTS).await?),
        })
    }

    /// # Errors
    /// When this is Azurite.
    pub(super) fn model(&self) -> Result<&ModelProcess> {
        match self {
            Self::Model(model) => Ok(model),
            Self::Azurite(_) => anyhow::bail!("azurite has no costs and counts nothing"),
        }
    }

    pub(super) fn endpoint(&self) -> &Url {
        match self {
            Self::Model(model) => model.endpoint(),
            Self::Azurite(azurite) => azurite.endpoint(),
        }
    }

    /// Processor time that it has used so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        meter::cpu_seconds(match self {
            Self::Model(model) => model.pid(),
            Self::Azurite(azurite) => azurite.pid(),
        })
    }

    /// Counts from zero; Azurite counts nothing.
    pub(super) async fn reset_counters(&self) -> Result<()> {
        if let Self::Model(model) = self { model.reset_counters().await } else { Ok(()) }
    }

    pub(super) async fn counters(&self) -> Result<Option<Counters>> {
        if let Self::Model(model) = self { model.counters().await.map(Some) } else { Ok(None) }
    }

    /// Fills a container of the source account.
    pub(super) async fn seed(&self, container: &str, groups: &[Files]) -> Result<()> {
        if let Self::Model(model) = self {
            let (account, container) = (ACCOUNTS[0].0.to_owned(), container.to_owned());
            return model.seed(&Seed { account, container, files: groups.to_vec() }).await;
        }
        let [west, _] = storages(self.endpoint())?;
        west.create_container(container).await?;
        for group in groups {
            let options = PutOptions { content_type: group.content_type.clone(), ..PutOptions::default() };
            let (west, options) = (&west, &options);
            let uploads = (0..group.count).map(|number| async move {
                let size = usize::try_from(group.size)?;
                let body: Vec<u8> = number.to_le_bytes().into_iter().cycle().take(size).collect();
                west.put(container, &format!("{}{number:07}", group.prefix), body, options.clone()).await
            });
            futures::stream::iter(uploads).buffer_unordered(UPLOADS).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// An empty container of the replica account.
    pub(super) async fn fresh(&self, source: &str, replica: &str) -> Result<Pair> {
        let [_, east] = storages(self.endpoint())?;
        east.create_container(replica).await?;
        Ok(Pair { source: source.to_owned(), replica: replica.to_owned() })
    }

    pub(super) async fn forget(&self, pair: &Pair) -> Result<()> {
        let [_, east] = storages(self.endpoint())?;
        east.delete_container(&pair.replica).await
    }

    pub(super) fn sign(&self, pair: &Pair) -> Result<Signed> {
        let [west, east] = storages(self.endpoint())?;
        let expiry = OffsetDateTime::now_utc() + Duration::days(1);
        let sas = [west.container_sas(&pair.source, "rl", expiry), east.container_sas(&pair.replica, "racwdl", expiry)];
        Ok(Signed {
            source: west.blob_url(&pair.source, "", Some(&sas[0])),
            replica: east.blob_url(&pair.replica, "", Some(&sas[1])),
        })
    }

    /// The replica must be the source, or where `only` says so, so many blobs of it.
    ///
    /// # Errors
    /// When it is not; with what is different.
    pub(super) async fn check(&self, pair: &Pair, only: Option<u64>) -> Result<()> {
        let Self::Model(model) = self else { return check_listings(self.endpoint(), pair, only).await };
        let place = |account: &str, container: &str| Place { account: account.into(), container: container.into() };
        let differences = model
            .compare(&Comparison {
                left: place(ACCOUNTS[0].0, &pair.source),
                right: place(ACCOUNTS[1].0, &pair.replica),
                ignored_metadata: vec![OUR_METADATA.to_owned()],
            })
            .await?;
        // what is missing makes one difference each, so that no other may be among them
        let missing = only.map_or(0, |only| differences.left_blobs.saturating_sub(only));
        let is_right = differences.count == missing && differences.right_blobs + missing == differences.left_blobs;
        let named = differences.named[..NAMED.min(differences.named.len())].join("; ");
        ensure!(
            is_right,
            "the replica is wrong: {} of {} blobs, {} differences, such as: {named}",
            differences.right_blobs,
            differences.left_blobs,
            differences.count
        );
        Ok(())
    }
}

/// Clients of the source account and of the replica account.
pub(super) fn storages(endpoint: &Url) -> Result<[Storage; 2]> {
    let [west, east] = ACCOUNTS.map(|(name, key)| Storage::new(endpoint.join(name)?, name, key));
    Ok([west?, east?])
}

async fn check_listings(endpoint: &Url, pair: &Pair, only: Option<u64>) -> Result<()> {
    let [west, east] = storages(endpoint)?;
    let source = west.list(&pair.source).await?.context("the source is gone")?;
    let replica = east.list(&pair.replica).await?.context("the replica is gone")?;
    let wanted = only.map_or(Ok(source.len()), usize::try_from)?;
    ensure!(replica.len() == wanted, "the replica is wrong: {} of {wanted} blobs", replica.len());
    let source: BTreeMap<&str, &BlobInfo> = source.iter().map(|blob| (blob.name.as_str(), blob)).collect();
    let mut wrong = String::new();
    for blob in &replica {
        if source.get(blob.name.as_str()).is_none_or(|source| what_counts(source) != what_counts(blob)) {
            write!(wrong, " {}", blob.name)?;
        }
    }
    ensure!(wrong.is_empty(), "the replica is wrong:{}", wrong.chars().take(200).collect::<String>());
    Ok(())
}

/// What a replica has of its source: everything but times and tags.
fn what_counts(blob: &BlobInfo) -> BlobInfo {
    let mut blob = BlobInfo { etag: String::new(), last_modified: String::new(), ..blob.clone() };
    blob.metadata.remove(OUR_METADATA);
    blob
}
