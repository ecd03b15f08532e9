//! Copies one container to another and proves it, without a media service: what a job does between its first and its last
//! word with one.

use super::budget::Budget;
use super::copy::copy_containers;
use super::engine::plan::ByName;
use super::join::{Join, Kept};
use super::progress::Progress;
use super::sites::{SiteStorage, Sites};
use super::verify::Comparison;
use crate::blob_store::Container;
use crate::failure::Failure;
use crate::model::{Content, SiteName};

/// Makes `to` at the replica site a copy of `from` at the source site, and verifies it. Safe to run again: what is complete
/// is skipped. The container at the replica is made where it is missing.
///
/// # Errors
/// As the steps `copy_blobs` and `verify_copy` of a job; permanent `no-account-key` for a site whose storage is reached
/// through its media service alone.
pub async fn copy_container(
    from: &str,
    to: &str,
    sites: &Sites,
    budget: Budget,
    progress: &Progress,
) -> Result<Content, Failure> {
    let from = container(&sites.source.storage, &sites.source.name, from)?;
    let to = container(&sites.replica.storage, &sites.replica.name, to)?;
    let mut join = Join::to_copy_making(&from, &to).await?;
    let (mut comparison, mut kept) = (Comparison::default(), Kept::of_both());
    while let Some(pair) = join.next().await? {
        comparison.see(&pair);
        kept.add(pair);
    }
    let (before, already) = comparison.already();
    progress.begin(before.content.files, before.content.bytes);
    let equal = match already {
        Some(equal) => {
            progress.all_skipped();
            equal
        }
        None => {
            copy_containers(from.clone(), to.clone(), kept.join(&from, &to), &ByName, sites, budget, progress).await?;
            Comparison::default().read(Join::to_compare(&from, &to)).await?.verified(&before, sites)?
        }
    };
    Ok(equal.with_bytes(&from, &to, sites, budget, progress).await?.content().clone())
}

fn container(storage: &SiteStorage, site: &SiteName, name: &str) -> Result<Container, Failure> {
    match storage {
        SiteStorage::Key(account) => Ok(account.container(name)),
        SiteStorage::Sas(_) => Err(Failure::permanent(
            "no-account-key",
            format!("storage of site '{site}' is reached through SAS locators, which belong to assets"),
        )
        .with_hint("give the settings the account's key, or replicate the asset")
        .at_site(site)),
    }
}
