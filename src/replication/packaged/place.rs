//! Where the files of a job lie, at both sites.

use url::Url;

use super::source::Packaged;
use crate::blob_store::{BlobAccount, Container};
use crate::failure::Failure;
use crate::model::{Blob, Location, PublicAccess, SiteName};
use crate::replication::resolve::Found;
use crate::replication::sites::{Site, SiteStorage, Sites};

/// One location at both sites.
#[derive(Debug)]
pub struct Place {
    pub location: Location,
    pub from: Container,
    pub to: Container,
    /// Where the sites' streaming endpoints serve their containers: the source's, the replica's.
    pub bases: [Url; 2],
}

impl Place {
    pub fn open(location: &Location, sites: &Sites) -> Result<Self, Failure> {
        let base = |site: &Site| {
            site.streaming_url.clone().ok_or_else(|| {
                Failure::permanent("streaming-url", format!("site '{}' has no streaming_url: set it", site.name))
                    .at_site(&site.name)
            })
        };
        Ok(Self {
            location: location.clone(),
            from: container(location, &sites.source)?,
            to: container(location, &sites.replica)?,
            bases: [base(&sites.source)?, base(&sites.replica)?],
        })
    }

    /// Whether both storage accounts have the same rules for browsers; `None` where that cannot be told.
    pub async fn has_same_cors(&self, sites: &Sites) -> Option<bool> {
        let accounts = account(&sites.source).and_then(|ours| Ok((ours, account(&sites.replica)?)));
        let (ours, theirs) = accounts.ok()?;
        match futures::future::try_join(ours.cors_rules(), theirs.cors_rules()).await {
            Ok((ours, theirs)) => Some(ours == theirs),
            Err(failure) => {
                tracing::debug!(error = %failure, "CORS rules are not compared");
                None
            }
        }
    }
}

/// Which asset a location is; none for us where it is a replica that we have made.
pub async fn find_location(location: &Location, site: &Site) -> Result<Found, Failure> {
    let copied_from = find_origin(&container(location, site)?, site).await;
    Ok(match copied_from {
        // The pipeline tells of it, with its hint.
        Err(failure) if failure.code == "container-missing" => Found::Assets(vec![location.to_string()]),
        Err(failure) => return Err(failure),
        Ok(Some(from)) => Found::own_replica(&location.to_string(), &from),
        Ok(None) => Found::Assets(vec![location.to_string()]),
    })
}

/// The other site that all files are our copies from; `None` where they are not.
async fn find_origin(container: &Container, site: &Site) -> Result<Option<SiteName>, Failure> {
    let of = |blob: Blob| blob.copied_from.and_then(|from| from.site).filter(|from| *from != site.name);
    // One file tells of most assets that they are no replica; all of them are looked at only where it does not.
    if container.first().await?.is_some_and(|blob| of(blob).is_none()) {
        return Ok(None);
    }
    let (mut blobs, mut origin) = (container.blobs(), None);
    while let Some(blob) = blobs.next().await? {
        match of(blob) {
            Some(from) => origin = Some(from),
            None => return Ok(None),
        }
    }
    Ok(origin)
}

/// Does: makes the replica's container where it is missing, with the name and the public access of the source's.
/// Safe to repeat because: one that is there is left as it is.
/// Fails as: `Permanent` when one that is there may be read by others than the source's.
pub async fn ensure_replica_container(place: &Place, asset: &Packaged, sites: &Sites) -> Result<(), Failure> {
    let Some(theirs) = asset.replica_access else { return place.to.ensure_after(&place.from, asset.access).await };
    if theirs == asset.access {
        return Ok(());
    }
    let told = |access| match access {
        PublicAccess::None => "nobody",
        PublicAccess::Blob => "everybody (blob)",
        PublicAccess::Container => "everybody, with its list (container)",
    };
    let message = format!(
        "container '{}' can be read without a signature by {} at the replica, by {} at the source",
        place.to.name(),
        told(theirs),
        told(asset.access)
    );
    Err(Failure::permanent("container-access-differs", message)
        .with_hint("set the same public access level for both containers, then replay")
        .at_site(&sites.replica.name))
}

fn container(location: &Location, site: &Site) -> Result<Container, Failure> {
    Ok(account(site)?.container(location.container()).within(location.prefix()))
}

fn account(site: &Site) -> Result<&BlobAccount, Failure> {
    match &site.storage {
        SiteStorage::Key(account) => Ok(account),
        SiteStorage::Sas(_) => Err(no_key(&site.name)),
    }
}

fn no_key(site: &SiteName) -> Failure {
    Failure::permanent("no-account-key", format!("storage of site '{site}' is reached through SAS locators"))
        .with_hint("give the settings the account's key")
        .at_site(site)
}
