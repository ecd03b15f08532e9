//! SAS locators: the media service's way to storage without the storage account's key. Made under a name and an id that
//! every later run knows, and deleted when the work is done (contract ams-v2, sections 4.2 to 4.4).

use serde_json::json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::policies::Permissions;
use super::resource::key;
use super::wire::{LocatorRow, TYPE_SAS};
use super::{AmsV2, dates};
use crate::failure::Failure;
use crate::model::LocatorId;
use crate::settings::Secret;

/// How far the start lies in the past, against clock skew (contract ams-v2, section 4.4).
const START_AGO: Duration = Duration::minutes(5);
/// How long a locator is good from its start on.
const LASTS: Duration = Duration::hours(24);
/// One that ends sooner is made anew: no slice of a job takes that long.
const SHORTEST_LEFT: Duration = Duration::hours(12);

/// What a SAS locator is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SasPurpose {
    /// To list and to read a source's container.
    Read,
    /// To list, to read and to write a replica's container.
    Write,
}

impl SasPurpose {
    const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// The locator's name, by which it is found again.
    fn name(self) -> &'static str {
        match self {
            Self::Read => "stream-replicator/1 read",
            Self::Write => "stream-replicator/1 write",
        }
    }

    fn permissions(self) -> Permissions {
        match self {
            Self::Read => Permissions::ReadList,
            Self::Write => Permissions::ReadWriteList,
        }
    }

    /// The id that such a locator of an asset is made with: two workers that make it at once make one.
    #[must_use]
    pub fn id(self, asset_id: &str) -> LocatorId {
        let name = format!("{} {}", self.name(), asset_id.to_ascii_lowercase());
        LocatorId(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
    }
}

/// The right to use an asset's container.
#[derive(Debug, Clone)]
pub struct SasLocator {
    /// Its id.
    pub id: LocatorId,
    /// The container's address.
    pub address: String,
    /// The query that opens it.
    pub query: Secret,
    /// When it was made.
    pub made_at: OffsetDateTime,
}

impl AmsV2 {
    /// The asset's SAS locator for `purpose`: that of an earlier or of another run where it lasts, else a new one. One to
    /// write with is made without Read where the service gives none for an asset without files (contract ams-v2, section
    /// 4.4, does not say whether it does): that is enough to list and to write, not to look at a blob by itself.
    ///
    /// # Errors
    /// Permanent `too-many-locators`; transient `locator-conflict`, `not-visible-yet`; else as every call.
    pub async fn ensure_sas_locator(&self, asset_id: &str, purpose: SasPurpose) -> Result<SasLocator, Failure> {
        let (id, mut permissions) = (purpose.id(asset_id), purpose.permissions());
        let mut pauses = self.client.pauses();
        loop {
            if let Some(found) = self.find_lasting(asset_id, purpose).await? {
                return Ok(found);
            }
            let minutes = LASTS.whole_minutes();
            let body = json!({
                "Id": id.to_ams_v2(), "AssetId": asset_id, "Type": TYPE_SAS, "Name": purpose.name(),
                "AccessPolicyId": self.ensure_policy(permissions, minutes).await?,
                "StartTime": dates::format(OffsetDateTime::now_utc() - START_AGO),
            });
            let failure = match self.client.create::<LocatorRow>("Locators", body).await {
                Ok(row) => return self.sas(row),
                Err(error) if error.status == Some(409) => {
                    // Another worker was faster, there are five, or the service is not done with deleting an older one.
                    if let Some(found) = self.find_lasting(asset_id, purpose).await? {
                        return Ok(found);
                    }
                    self.verify_room(asset_id, &self.list_locator_rows(asset_id).await?)?;
                    self.locator_conflict(id, &error)
                }
                Err(error)
                    if error.status == Some(400)
                        && permissions == Permissions::ReadWriteList
                        && self.list_files(asset_id).await?.is_empty() =>
                {
                    permissions = Permissions::WriteList;
                    continue;
                }
                Err(error) if error.is_ambiguous() => error.failure,
                Err(error) => return Err(self.lag_or(asset_id, error).await),
            };
            pauses.pause(failure).await?;
        }
    }

    /// The asset's SAS locator for `purpose`, as it is now.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_sas_locator(&self, asset_id: &str, purpose: SasPurpose) -> Result<Option<SasLocator>, Failure> {
        let rows = self.sas_rows(asset_id).await?;
        rows.into_iter().find(|row| is_ours(row, purpose)).map(|row| self.sas(row)).transpose()
    }

    /// Deletes the asset's SAS locators for `purpose`, whoever made them; none is left when there is no error.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_sas_locators(&self, asset_id: &str, purpose: SasPurpose) -> Result<(), Failure> {
        let rows = match self.list_locator_rows(asset_id).await {
            // An asset takes its locators with it.
            Err(error) if error.is_not_found() => return Ok(()),
            rows => rows?,
        };
        let mut ids: Vec<_> = rows.into_iter().filter(|row| is_ours(row, purpose)).map(|row| row.id).collect();
        let own = purpose.id(asset_id);
        if !ids.iter().any(|id| LocatorId::parse(id) == Some(own)) {
            // What was made a moment ago may not be listed yet.
            ids.push(own.to_ams_v2());
        }
        for id in ids {
            self.client.delete(key("Locators", &id)).await?;
        }
        Ok(())
    }

    /// One of ours that lasts. Those that do not are deleted on the way: they take up room, and names and ids.
    async fn find_lasting(&self, asset_id: &str, purpose: SasPurpose) -> Result<Option<SasLocator>, Failure> {
        let now = OffsetDateTime::now_utc();
        let mut lasting = None;
        for row in self.sas_rows(asset_id).await? {
            let Some(its) = SasPurpose::ALL.into_iter().find(|its| is_ours(&row, *its)) else { continue };
            let left = row.expiration_date_time.map_or(Duration::ZERO, |expires| expires - now);
            if its == purpose && left > SHORTEST_LEFT {
                lasting = Some(row);
            } else if its == purpose || left <= Duration::ZERO {
                tracing::debug!(site = %self.client.site(), locator = row.id, "SAS locator of an earlier run is deleted");
                self.client.delete(key("Locators", &row.id)).await?;
            }
        }
        lasting.map(|row| self.sas(row)).transpose()
    }

    async fn sas_rows(&self, asset_id: &str) -> Result<Vec<LocatorRow>, Failure> {
        match self.list_locator_rows(asset_id).await {
            Ok(rows) => Ok(rows.into_iter().filter(|row| row.r#type == Some(TYPE_SAS)).collect()),
            Err(error) => Err(self.lag_or(asset_id, error).await),
        }
    }

    /// Base and component; where a gateway leaves them out, the path is both (contract ams-v2, section 4.2).
    fn sas(&self, row: LocatorRow) -> Result<SasLocator, Failure> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let parts = given(row.base_uri).zip(given(row.content_access_component));
        let parts = parts.or_else(|| {
            let (base, query) = row.path.as_deref()?.split_once('?')?;
            Some((base.to_owned(), query.to_owned()))
        });
        // The policy's duration is ours, so one end tells the other.
        let start = row.start_time.or_else(|| row.expiration_date_time.map(|expires| expires - LASTS));
        match (LocatorId::parse(&row.id), parts, start) {
            (Some(id), Some((address, query)), Some(start)) => {
                Ok(SasLocator { id, address, query: Secret::new(&query), made_at: start + START_AGO })
            }
            _ => {
                let message = "the media service gives a SAS locator without id, address or dates";
                Err(Failure::transient("unreadable-answer", message).at_site(self.client.site()))
            }
        }
    }
}

/// By its name; by its id too, as a name can be changed by whoever looks after the account.
fn is_ours(row: &LocatorRow, purpose: SasPurpose) -> bool {
    let own_id = || {
        let asset_id = row.asset_id.as_deref()?;
        Some(LocatorId::parse(&row.id)? == purpose.id(asset_id))
    };
    row.r#type == Some(TYPE_SAS) && (row.name.as_deref() == Some(purpose.name()) || own_id() == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_assets_and_purposes_apart_and_nothing_else() {
        let id = |purpose: SasPurpose, asset: &str| purpose.id(asset);
        assert_eq!(id(SasPurpose::Read, "nb:cid:UUID:A"), id(SasPurpose::Read, "nb:cid:UUID:a"));
        assert_ne!(id(SasPurpose::Read, "nb:cid:UUID:a"), id(SasPurpose::Write, "nb:cid:UUID:a"));
        assert_ne!(id(SasPurpose::Read, "nb:cid:UUID:a"), id(SasPurpose::Read, "nb:cid:UUID:b"));
    }
}
