//! What tests do with an account without going through HTTP: arrange, change, read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::config::{PreparedFile, Switches};
use super::jobs;
use super::odata::body::Input;
use super::odata::schema::Set;
use super::shared::Shared;
use super::state::{Account, AmsError, Entity, LOCATOR_PREFIX, container_of};
use super::views::{AccessPolicy, Asset, AssetFile, Locator};
use crate::storage::Storage;

/// One account of a running emulator.
#[derive(Debug, Clone)]
pub struct AccountHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
}

impl AccountHandle {
    /// The account's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's default storage.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn storage(&self) -> anyhow::Result<Storage> {
        self.with(|account| Ok(account.storage.clone()))
    }

    /// Creates an asset with its container and gives its id. Options: 0 none, 1 storage encrypted, 2 common encryption,
    /// 4 envelope encryption.
    ///
    /// # Errors
    /// When the service would refuse it or storage cannot be reached.
    pub async fn create_asset(&self, name: &str, options: i32) -> anyhow::Result<String> {
        let input = Input::default().with("Name", name).with("Options", options);
        let (asset, storage) = self.with(|account| {
            let asset = account.new_asset(&input)?;
            let storage = account.storage_behind(&asset);
            Ok((asset, storage))
        })?;
        let id = asset.key().to_owned();
        storage.create_container(&container_of(&id)).await?;
        self.with(|account| {
            account.insert(asset);
            Ok(())
        })?;
        Ok(id)
    }

    /// Puts files into an asset: blobs, and asset files with size and MIME type; the first `.ism` becomes primary.
    ///
    /// # Errors
    /// When there is no such asset or storage cannot be reached.
    pub async fn upload(&self, asset_id: &str, files: &[PreparedFile]) -> anyhow::Result<()> {
        self.with(|account| account.find(Set::Assets, asset_id).map(|_| ()))?;
        jobs::place(&self.shared, &self.name, asset_id, files).await
    }

    /// Registers whatever lies in an asset's container, as `CreateFileInfos` does.
    ///
    /// # Errors
    /// When there is no such asset or storage cannot be reached.
    pub async fn register_blobs(&self, asset_id: &str) -> anyhow::Result<()> {
        let storage = self.storage()?;
        let blobs = storage.list(&container_of(asset_id)).await?.unwrap_or_default();
        let blobs: Vec<_> = blobs.into_iter().map(|blob| (blob.name, blob.size)).collect();
        self.with(|account| account.create_file_infos(asset_id, &blobs))
    }

    /// Publishes an asset with a read policy and an origin locator, under the given GUID or a new one.
    ///
    /// # Errors
    /// When the service would refuse it.
    pub fn publish(
        &self,
        asset_id: &str,
        locator: Option<Uuid>,
        start: Option<OffsetDateTime>,
        duration: Duration,
    ) -> anyhow::Result<Locator> {
        let policy = Input::default()
            .with("Name", "published by the testbed")
            .with("DurationInMinutes", duration.as_secs_f64() / 60.0)
            .with("Permissions", 1);
        let mut state = self.shared.state.lock();
        let policy = state.create(&self.name, Set::AccessPolicies, &policy).map_err(refused)?;
        let input = Input::default()
            .with("Id", locator.map(|uuid| format!("{LOCATOR_PREFIX}{uuid}")))
            .with("Type", 2)
            .with("AssetId", asset_id)
            .with("AccessPolicyId", policy.key())
            .with("StartTime", start);
        let locator = state.create(&self.name, Set::Locators, &input).map_err(refused)?;
        Ok(Locator::from(&locator))
    }

    /// Changes an asset, past every rule of the service; properties go by their wire names.
    ///
    /// # Errors
    /// When there is no such asset.
    pub fn set_asset(&self, asset_id: &str, change: impl FnOnce(&mut Entity)) -> anyhow::Result<()> {
        self.set(Set::Assets, asset_id, change)
    }

    /// Changes any entity, past every rule of the service.
    ///
    /// # Errors
    /// When there is no such entity.
    pub fn set(&self, set: Set, key: &str, change: impl FnOnce(&mut Entity)) -> anyhow::Result<()> {
        self.with(|account| account.find_mut(set, key).map(change))
    }

    /// Links a new content key of the envelope kind to an asset, and gives the key's id.
    ///
    /// # Errors
    /// When there is no such asset.
    pub fn add_content_key(&self, asset_id: &str) -> anyhow::Result<String> {
        let id = format!("nb:kid:UUID:{}", Uuid::new_v4());
        let input = Input::default().with("Id", id.clone()).with("ContentKeyType", 4);
        self.add_linked(asset_id, Set::ContentKeys, "ContentKeys", &input)
    }

    /// Links a new delivery policy to an asset, and gives the policy's id. Types: 1 blocked, 2 no dynamic encryption, 3 dynamic
    /// envelope, 4 dynamic common.
    ///
    /// # Errors
    /// When there is no such asset.
    pub fn add_delivery_policy(&self, asset_id: &str, policy_type: i32) -> anyhow::Result<String> {
        let input = Input::default()
            .with("Name", "made by the testbed")
            .with("AssetDeliveryProtocol", 0xFFFF)
            .with("AssetDeliveryPolicyType", policy_type);
        self.add_linked(asset_id, Set::AssetDeliveryPolicies, "DeliveryPolicies", &input)
    }

    /// Stops the default streaming endpoint.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn stop_endpoint(&self) -> anyhow::Result<()> {
        self.set_endpoint(|endpoint| endpoint.set("State", "Stopped"))
    }

    /// Starts the default streaming endpoint.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn start_endpoint(&self) -> anyhow::Result<()> {
        self.set_endpoint(|endpoint| endpoint.set("State", "Running"))
    }

    /// Makes the default streaming endpoint a classic one with this many units; with none it packages nothing.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn set_scale_units(&self, units: i32) -> anyhow::Result<()> {
        self.set_endpoint(|endpoint| endpoint.set("StreamingEndpointVersion", "1.0").set("ScaleUnits", units))
    }

    /// Turns switches; what is under way keeps the old ones.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn switch(&self, turn: impl FnOnce(&mut Switches)) -> anyhow::Result<()> {
        self.with(|account| {
            turn(&mut account.switches);
            Ok(())
        })
    }

    /// Lets every SAS locator that is still to take effect do so now, whatever its lag.
    ///
    /// # Errors
    /// When there is no such account or storage cannot be reached.
    pub async fn settle_sas_locators(&self) -> anyhow::Result<()> {
        self.with(|account| {
            account.all_mut(Set::Locators).iter_mut().for_each(|locator| locator.hide_from_storage(0));
            Ok(())
        })?;
        self.sync_sas_locators().await
    }

    /// Rolls the key of an attached storage account, as far as locators can tell: the URLs of all its SAS locators die, those
    /// made afterwards work (contract ams-v2 section 4.2). The true key stays, since Azurite cannot change it.
    ///
    /// # Errors
    /// When there is no such account or storage cannot be reached.
    pub async fn roll_storage_key(&self, storage_account: &str) -> anyhow::Result<()> {
        self.with(|account| {
            let is_there = |locator: &&Entity| {
                let storage = account.storage_of(locator.text("AssetId").unwrap_or_default());
                locator.number("Type") == Some(1) && storage.is_ok_and(|one| one.account() == storage_account)
            };
            let dead = account.all(Set::Locators).iter().filter(is_there).map(|locator| locator.key().to_owned());
            let dead: Vec<String> = dead.collect();
            account.dead_sas.extend(dead);
            Ok(())
        })?;
        self.sync_sas_locators().await
    }

    /// Submits an encoding job with one task and these output assets, unencrypted, and gives the job's id.
    ///
    /// # Errors
    /// When the service would refuse it or storage cannot be reached.
    pub async fn submit_job(&self, name: &str, output_names: &[&str]) -> anyhow::Result<String> {
        let processor =
            self.with(|account| Ok(account.all(Set::MediaProcessors).first().map(|one| one.key().to_owned())))?;
        let output = |(at, name): (usize, &&str)| {
            let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            format!(
                "<outputAsset assetName=\"{escaped}\" assetCreationOptions=\"0\">JobOutputAsset({at})</outputAsset>"
            )
        };
        let outputs: String = output_names.iter().enumerate().map(output).collect();
        let body = format!("<taskBody><inputAsset>JobInputAsset(0)</inputAsset>{outputs}</taskBody>");
        let task = Input::default().with("MediaProcessorId", processor).with("TaskBody", body);
        let job = Input { tasks: vec![task], ..Input::default().with("Name", name) };
        let job = jobs::create(&self.shared, &self.name, &job).await.map_err(refused)?;
        Ok(job.key().to_owned())
    }

    /// The assets, oldest first.
    pub fn assets(&self) -> Vec<Asset> {
        self.entities(Set::Assets).iter().map(Asset::from).collect()
    }

    /// The files of an asset, oldest first.
    pub fn files(&self, asset_id: &str) -> Vec<AssetFile> {
        let is_of = |file: &&Entity| file.text("ParentAssetId") == Some(asset_id);
        self.entities(Set::Files).iter().filter(is_of).map(AssetFile::from).collect()
    }

    /// The locators of an asset, oldest first.
    pub fn locators(&self, asset_id: &str) -> Vec<Locator> {
        let is_of = |locator: &&Entity| locator.text("AssetId") == Some(asset_id);
        self.entities(Set::Locators).iter().filter(is_of).map(Locator::from).collect()
    }

    /// The access policies, oldest first.
    pub fn access_policies(&self) -> Vec<AccessPolicy> {
        self.entities(Set::AccessPolicies).iter().map(AccessPolicy::from).collect()
    }

    /// The entities of any set, oldest first, as they truly are.
    pub fn entities(&self, set: Set) -> Vec<Entity> {
        self.with(|account| Ok(account.all(set).to_vec())).unwrap_or_default()
    }

    async fn sync_sas_locators(&self) -> anyhow::Result<()> {
        let assets = self.with(|account| {
            let sas = account.all(Set::Locators).iter().filter(|locator| locator.number("Type") == Some(1));
            Ok(sas.filter_map(|locator| locator.text("AssetId").map(str::to_owned)).collect::<BTreeSet<_>>())
        })?;
        for asset in assets {
            self.shared.sync_stored_policies(&self.name, &asset).await.map_err(refused)?;
        }
        Ok(())
    }

    fn add_linked(&self, asset_id: &str, set: Set, navigation: &'static str, input: &Input) -> anyhow::Result<String> {
        let mut state = self.shared.state.lock();
        state
            .account(&self.name)
            .and_then(|account| account.find(Set::Assets, asset_id).map(|_| ()))
            .map_err(refused)?;
        let key = state.create(&self.name, set, input).map_err(refused)?.key().to_owned();
        let account = state.account(&self.name).map_err(refused)?;
        account.find_mut(Set::Assets, asset_id).map_err(refused)?.link(navigation, key.clone());
        Ok(key)
    }

    fn set_endpoint(&self, change: impl FnOnce(&mut Entity) -> &mut Entity) -> anyhow::Result<()> {
        self.with(|account| {
            let default = account.all_mut(Set::StreamingEndpoints).first_mut();
            change(default.ok_or_else(|| AmsError::not_found("the default streaming endpoint"))?);
            Ok(())
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Account) -> Result<T, AmsError>) -> anyhow::Result<T> {
        let mut state = self.shared.state.lock();
        state.account(&self.name).and_then(act).map_err(refused)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is an argument of map_err")]
fn refused(error: AmsError) -> anyhow::Error {
    anyhow!("the emulator refuses: {} {}", error.status, error.message)
}
