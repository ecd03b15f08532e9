//! What a storage account tells browsers: its rules for requests from other origins (CORS).

use azure_storage_blob::models::{BlobServiceProperties, CorsRule};
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};

use super::classify::Refusal;
use super::sas::Grant;
use super::{BlobAccount, retry};
use crate::failure::Failure;

impl BlobAccount {
    /// The rules in the order in which the service tries them, each in one form (Get Blob Service Properties, Azure Blob
    /// REST). They are the account's own: no copy brings them along. Tries a few times.
    ///
    /// # Errors
    /// Transient when the service is busy or out of reach; permanent `storage-denied`.
    pub async fn cors_rules(&self) -> Result<Vec<String>, Failure> {
        retry::run(self.account.transport.tries(), async || {
            let look = async {
                // any container gives the account's address and signs for it
                let container = self.container(super::CHECKED_CONTAINER);
                let options =
                    BlobServiceClientOptions { client_options: container.client_options(None), ..Default::default() };
                let client = BlobServiceClient::new(container.url(Grant::LookAtService)?, None, Some(options))?;
                client.get_properties(None).await?.into_model()
            };
            let found = look.await.map_err(|error: azure_core::Error| Refusal::from(error));
            let found: BlobServiceProperties = found.map_err(|refusal| {
                refusal.failure("looking at the storage account's CORS rules").at_site(&self.account.site)
            })?;
            Ok(found.cors.unwrap_or_default().iter().map(line).collect())
        })
        .await
    }
}

/// The order inside a list does not matter, nor do blanks and the case of header names.
fn line(rule: &CorsRule) -> String {
    let list = |text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        let mut items: Vec<_> =
            text.split(',').map(|item| item.trim().to_ascii_lowercase()).filter(|item| !item.is_empty()).collect();
        items.sort_unstable();
        items.join(" ")
    };
    format!(
        "origins {}; methods {}; headers {}; exposed {}; {} s",
        list(&rule.allowed_origins),
        list(&rule.allowed_methods),
        list(&rule.allowed_headers),
        list(&rule.exposed_headers),
        rule.max_age_in_seconds.unwrap_or_default()
    )
}
