//! What all doors of one emulator share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::EncoderConfig;
use super::doors::token::Mint;
use super::state::{AmsError, SharedState, container_of};
use super::streaming::Shelf;

/// The base URLs of the doors, without trailing slashes.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) front_door: String,
    pub(crate) acs: String,
    pub(crate) entra: String,
    /// By data centre.
    pub(crate) clusters: BTreeMap<String, String>,
    /// What clusters call themselves, where that is another name.
    pub(crate) public_clusters: BTreeMap<String, String>,
    /// The endpoints of the AAD era, by account.
    pub(crate) restv2: BTreeMap<String, String>,
    /// By account.
    pub(crate) streaming: BTreeMap<String, String>,
}

/// The shared part of an emulator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: SharedState,
    pub(crate) mint: Mint,
    pub(crate) addresses: Addresses,
    pub(crate) encoder: EncoderConfig,
    /// Raw JSON bodies of job notifications.
    pub(crate) notifications: broadcast::Sender<String>,
    /// Delivers webhooks.
    pub(crate) http: reqwest::Client,
    /// Held while a container's stored policies are written, so that two writers cannot overtake each other.
    pub(crate) policies: tokio::sync::Mutex<()>,
    /// Lets delayed requests go on.
    pub(crate) release: tokio::sync::Notify,
    /// What packagers keep at hand.
    pub(crate) shelf: Shelf,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Shared {
    /// The service root of a data centre as clients are told it, with its trailing slash.
    pub(crate) fn root_of(&self, data_centre: &str) -> String {
        let Addresses { public_clusters, clusters, .. } = &self.addresses;
        let base = public_clusters.get(data_centre).or_else(|| clusters.get(data_centre));
        let base = base.map(String::as_str).unwrap_or_default();
        format!("{base}/api/")
    }

    /// Makes the stored policies of an asset's container match its SAS locators.
    pub(crate) async fn sync_stored_policies(&self, account: &str, asset_id: &str) -> Result<(), AmsError> {
        let _writing = self.policies.lock().await;
        let (storage, policies) = {
            let mut state = self.state.lock();
            let account = state.account(account)?;
            (account.storage_of(asset_id)?, account.stored_policies(asset_id))
        };
        let written = storage.set_stored_policies(&container_of(asset_id), &policies).await;
        written.map_err(|error| AmsError::of_storage(&error))
    }

    /// Does so again when a new SAS locator is to take effect.
    pub(crate) fn sync_stored_policies_later(self: &Arc<Self>, account: &str, asset_id: &str, milliseconds: u64) {
        let (shared, account, asset_id) = (Arc::clone(self), account.to_owned(), asset_id.to_owned());
        self.tasks.spawn(async move {
            let later = async {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                if let Err(error) = shared.sync_stored_policies(&account, &asset_id).await {
                    tracing::debug!(error = error.message, "the asset of a SAS locator went before it took effect");
                }
            };
            shared.stop.run_until_cancelled(later).await
        });
    }
}
