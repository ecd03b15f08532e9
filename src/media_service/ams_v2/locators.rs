//! Streaming locators: found, made with a chosen id, and held to a chosen validity (contract ams-v2, section 4.2).

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::classify::CallError;
use super::policies::{Permissions, minutes_covering};
use super::resource::key;
use super::wire::{LocatorRow, TYPE_ON_DEMAND_ORIGIN, TYPE_SAS};
use super::{AmsV2, dates};
use crate::failure::Failure;
use crate::model::{LocatorId, StreamingLocator};

/// The most locators of one asset, all types together (contract ams-v2, section 4.3).
const MAX_LOCATORS: usize = 5;

/// When to look again for a locator that is not to be seen: it may take 30 to 40 s (contract ams-v2, section 4.4).
const LAG: Duration = Duration::from_secs(10);

impl AmsV2 {
    /// The streaming locators of an asset, expired ones too; shared access signatures (type 1) are left out.
    ///
    /// # Errors
    /// As every call; `not-found` when the asset is gone.
    pub async fn list_locators(&self, asset_id: &str) -> Result<Vec<StreamingLocator>, Failure> {
        Ok(self.list_locator_rows(asset_id).await?.into_iter().filter_map(streaming).collect())
    }

    /// Reads one streaming locator; `None` when there is none with this id in this account.
    ///
    /// # Errors
    /// As every call; `locator-not-streaming` when the id belongs to a shared access signature.
    pub async fn find_locator(&self, id: LocatorId) -> Result<Option<StreamingLocator>, Failure> {
        let Some(row) = self.client.find::<LocatorRow>(key("Locators", &id.to_ams_v2())).await? else {
            return Ok(None);
        };
        let refuse = || {
            let message = format!("locator {id} is not a streaming locator");
            let failure = Failure::permanent("locator-not-streaming", message);
            failure.with_hint("delete it, if nobody uses it").at_site(self.client.site())
        };
        streaming(row).map(Some).ok_or_else(refuse)
    }

    /// The streaming locator `id` of the asset, valid exactly from `start` until `expires`; made if there is none, put right
    /// if its validity differs.
    ///
    /// # Errors
    /// Permanent: `locator-taken` (another asset has this id), `locator-taken-by-other-account`, `too-many-locators`;
    /// transient: `locator-conflict`, `locator-expiry-not-taken`; needs more time: `locator-not-visible`; else as every
    /// call.
    pub async fn ensure_locator(
        &self,
        id: LocatorId,
        asset_id: &str,
        start: Option<OffsetDateTime>,
        expires: OffsetDateTime,
        name: Option<&str>,
    ) -> Result<StreamingLocator, Failure> {
        let locator = self.ensure_locator_with_id(id, asset_id, start, expires, name).await?;
        self.adjust_locator(locator, start, expires).await
    }

    async fn ensure_locator_with_id(
        &self,
        id: LocatorId,
        asset_id: &str,
        start: Option<OffsetDateTime>,
        expires: OffsetDateTime,
        name: Option<&str>,
    ) -> Result<StreamingLocator, Failure> {
        let mut pauses = self.client.pauses();
        let mut body = json!({ "Id": id.to_ams_v2(), "AssetId": asset_id, "Type": TYPE_ON_DEMAND_ORIGIN });
        body["Name"] = name.into();
        if let Some(start) = start {
            body["StartTime"] = dates::format(start).into();
        }
        loop {
            if let Some(found) = self.find_own_locator(id, asset_id).await? {
                return Ok(found);
            }
            let span = expires - start.unwrap_or_else(OffsetDateTime::now_utc);
            body["AccessPolicyId"] = self.ensure_policy(Permissions::Read, minutes_covering(span)).await?.into();
            let error = match self.client.create::<LocatorRow>("Locators", body.clone()).await {
                Ok(row) => match streaming(row) {
                    Some(made) => return Ok(made),
                    None => self.not_visible(id),
                },
                Err(error) => match error.status {
                    Some(403 | 409) => match self.find_own_locator(id, asset_id).await? {
                        Some(found) => return Ok(found),
                        None => self.explain_conflict(id, asset_id, error).await?,
                    },
                    _ if error.is_ambiguous() => error.failure,
                    _ => return Err(self.lag_or(asset_id, error).await),
                },
            };
            pauses.pause(error).await?;
        }
    }

    /// The locator with this id, which must be the asset's.
    async fn find_own_locator(&self, id: LocatorId, asset_id: &str) -> Result<Option<StreamingLocator>, Failure> {
        match self.find_locator(id).await? {
            Some(found) if !found.asset_id.eq_ignore_ascii_case(asset_id) => {
                let message = format!("locator {id} publishes another asset, {}", found.asset_id);
                let hint = "delete that locator or that asset, if it is left over from an earlier replica";
                Err(Failure::permanent("locator-taken", message).with_hint(hint).at_site(self.client.site()))
            }
            found => Ok(found),
        }
    }

    /// 403 and 409 where no locator with this id is to be seen. `Ok` holds what may pass when it is tried again.
    async fn explain_conflict(&self, id: LocatorId, asset_id: &str, error: CallError) -> Result<Failure, Failure> {
        if error.status == Some(403) {
            let message = format!("locator {id} cannot be made: {}", error.failure.message);
            let hint = "another account of this data centre holds this locator id, as when source and replica share a data \
                        centre: replicate to another one; or the account is disabled or its quota is reached";
            let failure = Failure::permanent("locator-taken-by-other-account", message);
            return Err(failure.with_hint(hint).at_site(self.client.site()));
        }
        self.verify_room(asset_id, &self.list_locator_rows(asset_id).await?)?;
        // Either reads lag behind a locator that another run has just made, or the service cannot use the storage account.
        Ok(self.locator_conflict(id, &error))
    }

    /// Says yes while an asset with these locators may have one more.
    pub(super) fn verify_room(&self, asset_id: &str, rows: &[LocatorRow]) -> Result<(), Failure> {
        if rows.len() < MAX_LOCATORS {
            return Ok(());
        }
        let message = format!("asset {asset_id} has {} locators, which is all it can have", rows.len());
        let these = rows.iter().map(told).collect::<Vec<_>>().join("; ");
        let hint = format!("delete those of this asset's locators that nobody uses: {these}");
        Err(Failure::permanent("too-many-locators", message).with_hint(hint).at_site(self.client.site()))
    }

    /// A 409 that nothing explains.
    pub(super) fn locator_conflict(&self, id: LocatorId, error: &CallError) -> Failure {
        let hint = "if it goes on: check that the asset's container exists and that the media account holds the current \
                    storage key";
        let message = format!("locator {id} cannot be made yet: {}", error.failure.message);
        Failure::transient("locator-conflict", message).with_hint(hint).at_site(self.client.site())
    }

    /// Puts the validity right: what a policy gives drifts from what is asked for (contract ams-v2, section 8).
    async fn adjust_locator(
        &self,
        locator: StreamingLocator,
        start: Option<OffsetDateTime>,
        expires: OffsetDateTime,
    ) -> Result<StreamingLocator, Failure> {
        let starts_right = |locator: &StreamingLocator| match (start, locator.start) {
            (None, _) => true,
            (Some(wanted), Some(is)) => dates::is_same(wanted, is),
            (Some(_), None) => false,
        };
        let expires_right = |locator: &StreamingLocator| dates::is_same(locator.expires, expires);
        if starts_right(&locator) && expires_right(&locator) {
            return Ok(locator);
        }
        let mut body = Map::new();
        body.insert("ExpirationDateTime".into(), dates::format(expires).into());
        if let Some(start) = start.filter(|_| !starts_right(&locator)) {
            body.insert("StartTime".into(), dates::format(start).into());
        }
        let after = self.merge_locator(locator.id, &Value::Object(body)).await?;
        if !expires_right(&after) {
            let message = format!(
                "locator {} expires at {} although {expires} was set",
                locator.id,
                dates::format(after.expires)
            );
            return Err(Failure::transient("locator-expiry-not-taken", message).at_site(self.client.site()));
        }
        if !starts_right(&after) {
            tracing::warn!(site = %self.client.site(), locator = %locator.id, start = ?after.start, "start not taken");
        }
        Ok(after)
    }

    /// Changes a locator and reads it back. A new one may not be seen at first.
    async fn merge_locator(&self, id: LocatorId, body: &Value) -> Result<StreamingLocator, Failure> {
        let mut pauses = self.client.pauses();
        loop {
            match self.client.merge(key("Locators", &id.to_ams_v2()), body.clone()).await {
                Ok(()) => {
                    if let Some(after) = self.find_locator(id).await? {
                        return Ok(after);
                    }
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.failure),
            }
            pauses.pause(self.not_visible(id)).await?;
        }
    }

    /// Locators of every type; there are at most five.
    pub(super) async fn list_locator_rows(&self, asset_id: &str) -> Result<Vec<LocatorRow>, CallError> {
        self.client.list(&format!("{}/Locators", key("Assets", asset_id)), None).await
    }

    fn not_visible(&self, id: LocatorId) -> Failure {
        let message = format!("locator {id} is not to be seen yet after it was made");
        Failure::needs_more_time("locator-not-visible", message, LAG).at_site(self.client.site())
    }
}

/// A locator for people, without what gives access.
fn told(row: &LocatorRow) -> String {
    /// Of a name, in characters; it may be 4000 long (contract ams-v2, section 3).
    const LONGEST_NAME: usize = 40;
    let kind = match row.r#type {
        Some(TYPE_ON_DEMAND_ORIGIN) => "streaming",
        Some(TYPE_SAS) => "SAS",
        _ => "unknown",
    };
    let name: String = row.name.iter().flat_map(|name| name.chars()).map(shown).take(LONGEST_NAME).collect();
    let until = row.expiration_date_time.map(|expires| format!(" until {}", dates::format(expires)));
    format!("{kind} {} '{name}'{}", row.id, until.unwrap_or_default())
}

fn shown(letter: char) -> char {
    if letter.is_control() { '?' } else { letter }
}

fn streaming(row: LocatorRow) -> Option<StreamingLocator> {
    if row.r#type != Some(TYPE_ON_DEMAND_ORIGIN) {
        return None;
    }
    Some(StreamingLocator {
        id: LocatorId::parse(&row.id)?,
        asset_id: row.asset_id?,
        start: row.start_time,
        expires: row.expiration_date_time?,
        path: row.path.unwrap_or_default(),
        name: row.name.filter(|name| !name.is_empty()),
    })
}
