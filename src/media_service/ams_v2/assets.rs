//! Assets: found by id or by our mark, made once, refused when they cannot be replicated.

use percent_encoding::percent_decode_str;
use serde_json::json;
use url::Url;

use super::AmsV2;
use super::classify::CallError;
use super::resource::{key, literal};
use super::wire::{AnyRow, AssetRow};
use crate::failure::Failure;
use crate::model::{Asset, AssetMark, LocatorId};

/// The words of `Asset.Options` (contract ams-v2, section 3): number, name, our code.
const OPTIONS: [(i64, &str, &str); 3] = [
    (1, "StorageEncrypted", "asset-storage-encrypted"),
    (2, "CommonEncryptionProtected", "asset-common-encrypted"),
    (4, "EnvelopeEncryptionProtected", "asset-envelope-encrypted"),
];
const UNKNOWN_OPTIONS: &str = "Unknown";

impl AmsV2 {
    /// Reads one asset; `None` when it is gone.
    ///
    /// # Errors
    /// As every call: contract ams-v2, section 5.2.
    pub async fn find_asset(&self, id: &str) -> Result<Option<Asset>, Failure> {
        let row: Option<AssetRow> = self.client.find(key("Assets", id)).await?;
        row.map(|row| self.asset(row)).transpose()
    }

    /// Says yes, or why the asset cannot be replicated: static encryption, or dynamic encryption that a copy of the
    /// blobs would lose, so that protected content would be served in the clear (contract ams-v2, sections 4.5 and 9).
    ///
    /// # Errors
    /// Permanent: `asset-storage-encrypted`, `asset-common-encrypted`, `asset-envelope-encrypted`,
    /// `asset-options-unknown`, `asset-has-delivery-policies`, `asset-has-content-keys`.
    pub async fn verify_replicable(&self, asset: &Asset) -> Result<(), Failure> {
        let refuse = |code, why: String, hint: &str| {
            let failure = Failure::permanent(code, format!("asset {} {why}", asset.id));
            Err(failure.with_hint(hint).at_site(self.client.site()))
        };
        if let Some(encryption) = asset.static_encryption {
            let known = OPTIONS.iter().find(|(_, name, _)| *name == encryption);
            let code = known.map_or("asset-options-unknown", |(.., code)| *code);
            return refuse(
                code,
                format!("is encrypted in storage ({encryption})"),
                "its keys are bound to the account: encode to an asset with option None",
            );
        }
        let asset_key = key("Assets", &asset.id);
        if self.client.first::<AnyRow>(&format!("{asset_key}/DeliveryPolicies")).await?.is_some() {
            let hint =
                "remove the delivery policies, or protect the replica by hand: a copy would be served in the clear";
            return refuse("asset-has-delivery-policies", "has delivery policies".into(), hint);
        }
        if self.client.first::<AnyRow>(&format!("{asset_key}/ContentKeys")).await?.is_some() {
            return refuse("asset-has-content-keys", "has content keys".into(), "unlink the content keys");
        }
        Ok(())
    }

    /// The replica asset that carries `mark`; made if there is none. Of several the oldest wins, by Created, then Id.
    /// One that this call made goes again when another was there by then that is not younger: whoever looked before there
    /// were two keeps the one he saw, and where two were made within one tick of the service's clock, both go.
    ///
    /// # Errors
    /// As every call; nothing is made twice after an ambiguous error without a look.
    pub async fn ensure_replica_asset(
        &self,
        name: &str,
        mark: &AssetMark,
        alternate_id: &str,
    ) -> Result<Asset, Failure> {
        let mut pauses = self.client.pauses();
        loop {
            if let Some(found) = self.find_marked(mark).await?.into_iter().next() {
                return self.asset(found);
            }
            // No StorageAccountName: the account's default storage holds the container.
            let body = json!({ "Name": name, "Options": 0, "AlternateId": alternate_id });
            match self.client.create::<AssetRow>("Assets", body).await {
                Ok(row) => match self.settle_race(mark, row).await? {
                    Some(own) => return self.asset(own),
                    None => pauses.pause(self.made_twice(mark)).await?,
                },
                Err(error) if error.is_ambiguous() => pauses.pause(error.failure).await?,
                Err(error) => return Err(error.failure),
            }
        }
    }

    /// `own`, which was just made, unless somebody else has made one too; then `own` is deleted.
    async fn settle_race(&self, mark: &AssetMark, own: AssetRow) -> Result<Option<AssetRow>, Failure> {
        let rows = self.find_marked(mark).await?;
        // As the service reads it back: what it said when it was made may be more precise.
        let created = rows.iter().find(|row| row.id == own.id).map_or(own.created, |row| row.created);
        let Some(other) = rows.iter().find(|row| row.id != own.id && row.created <= created) else {
            return Ok(Some(own));
        };
        tracing::info!(site = %self.client.site(), other = other.id, deleted = own.id, "replica asset made twice");
        self.delete_asset(&own.id).await?;
        Ok(None)
    }

    fn made_twice(&self, mark: &AssetMark) -> Failure {
        let message = format!("the replica of asset {} is made by another worker too", mark.asset_id);
        Failure::transient("replica-made-twice", message).at_site(self.client.site())
    }

    /// Gives way where the locator `id` publishes another replica of the same source than `own_id`: deletes `own_id`, so that
    /// the next look finds the published one. `None` when the locator's asset is nothing of ours.
    ///
    /// # Errors
    /// As every call.
    pub async fn yield_to_published(
        &self,
        mark: &AssetMark,
        own_id: &str,
        id: LocatorId,
    ) -> Result<Option<Failure>, Failure> {
        let Some(locator) = self.find_locator(id).await? else { return Ok(None) };
        let rows = self.find_marked(mark).await?;
        if !rows.iter().any(|row| row.id == locator.asset_id && row.id != own_id) {
            return Ok(None);
        }
        tracing::info!(site = %self.client.site(), published = locator.asset_id, deleted = own_id, "replica asset made twice");
        self.delete_asset(own_id).await?;
        Ok(Some(self.made_twice(mark)))
    }

    /// Deletes an asset with its container; its locators first. One that is gone already is no error.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_asset(&self, id: &str) -> Result<(), Failure> {
        let locators = match self.list_locator_rows(id).await {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        for locator in locators {
            self.client.delete(key("Locators", &locator.id)).await?;
        }
        Ok(self.client.delete(key("Assets", id)).await?)
    }

    /// The replica asset that carries `mark`, if it was made; of several the oldest.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_replica_asset(&self, mark: &AssetMark) -> Result<Option<Asset>, Failure> {
        self.find_marked(mark).await?.into_iter().next().map(|row| self.asset(row)).transpose()
    }

    /// The ids of the replica assets that carry `mark`, the oldest first; several only while a race is decided.
    ///
    /// # Errors
    /// As every call.
    pub async fn find_replica_assets(&self, mark: &AssetMark) -> Result<Vec<String>, Failure> {
        Ok(self.find_marked(mark).await?.into_iter().map(|row| row.id).collect())
    }

    /// The assets that carry our mark, the oldest first. The service compares as SQL does and line breaks in a query are
    /// risky, so it gets the mark without its line break and we compare again.
    async fn find_marked(&self, mark: &AssetMark) -> Result<Vec<AssetRow>, Failure> {
        let filter = format!("startswith(AlternateId,{})", literal(mark.prefix().trim_end()));
        let mut rows: Vec<AssetRow> = self.client.list("Assets", Some(&filter)).await?;
        rows.retain(|row| row.alternate_id.as_deref().and_then(AssetMark::parse).as_ref() == Some(mark));
        rows.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(rows)
    }

    /// A 404 of a call that names an asset: lag when the asset is there (contract ams-v2, section 5.2), else what it says.
    pub(super) async fn lag_or(&self, asset_id: &str, error: CallError) -> Failure {
        if !error.is_not_found() {
            return error.failure;
        }
        match self.find_asset(asset_id).await {
            Ok(Some(_)) => Failure::transient("not-visible-yet", error.failure.message).at_site(self.client.site()),
            Ok(None) => error.failure,
            Err(failure) => failure,
        }
    }

    pub(super) fn asset(&self, row: AssetRow) -> Result<Asset, Failure> {
        let options = row.options.unwrap_or_default();
        let known = OPTIONS.iter().find(|(number, ..)| *number == options).map(|(_, name, _)| *name);
        let container = container(row.uri.as_deref(), &row.id).ok_or_else(|| {
            let message = format!("asset {} has no container address", row.id);
            Failure::permanent("asset-without-container", message).at_site(self.client.site())
        })?;
        Ok(Asset {
            name: row.name.unwrap_or_default(),
            alternate_id: row.alternate_id.filter(|text| !text.is_empty()),
            container,
            static_encryption: if options == 0 { None } else { Some(known.unwrap_or(UNKNOWN_OPTIONS)) },
            created: row.created,
            id: row.id,
        })
    }
}

/// The last segment of `Asset.Uri`; where that is not sent, the rule of old that the asset's GUID is in the name
/// (contract ams-v2, section 2.5).
fn container(uri: Option<&str>, id: &str) -> Option<String> {
    if let Some(uri) = uri.filter(|uri| !uri.is_empty()) {
        let url = Url::parse(uri).ok()?;
        let segment = url.path_segments()?.rfind(|segment| !segment.is_empty())?;
        return Some(percent_decode_str(segment).decode_utf8_lossy().into_owned());
    }
    id.rsplit_once(':').map(|(_, guid)| format!("asset-{}", guid.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::container;

    #[test]
    fn the_container_is_where_the_uri_says() {
        let id = "nb:cid:UUID:77F2c6b8";
        for (uri, name) in [
            (Some("https://store.blob.example/asset-1"), Some("asset-1")),
            (Some("http://127.0.0.1:10000/devstoreaccount1/asset-1/?x=y"), Some("asset-1")),
            (Some("https://store.blob.example/asset%2D1"), Some("asset-1")),
            (Some("https://store.blob.example/"), None),
            (Some(""), Some("asset-77f2c6b8")),
            (None, Some("asset-77f2c6b8")),
        ] {
            assert_eq!(container(uri, id).as_deref(), name, "{uri:?}");
        }
    }
}
