//! Leases on blobs: what keeps two programs from doing the same thing at once.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};

use super::wire::Call;
use super::{Storage, expect};

impl Storage {
    /// Lease Blob, acquire, for as long as it lasts (60 s). Gives its id.
    ///
    /// # Errors
    /// When somebody has it, or when the service cannot be reached or refuses.
    pub async fn acquire_lease(&self, container: &str, name: &str) -> Result<String> {
        let call = self.lease(container, name, "acquire").header("x-ms-lease-duration", "60");
        let response = expect(self.send(call).await?, &[StatusCode::CREATED]).await?;
        let id = response.headers().get("x-ms-lease-id").context("the answer names no lease")?;
        Ok(id.to_str()?.to_owned())
    }

    /// Lease Blob, release.
    ///
    /// # Errors
    /// When this is not the lease, or when the service cannot be reached or refuses.
    pub async fn release_lease(&self, container: &str, name: &str, id: &str) -> Result<()> {
        let call = self.lease(container, name, "release").header("x-ms-lease-id", id);
        expect(self.send(call).await?, &[StatusCode::OK]).await.map(drop)
    }

    /// Lease Blob, break, at once, whoever has it.
    ///
    /// # Errors
    /// When there is no lease, or when the service cannot be reached or refuses.
    pub async fn break_lease(&self, container: &str, name: &str) -> Result<()> {
        let call = self.lease(container, name, "break").header("x-ms-lease-break-period", "0");
        expect(self.send(call).await?, &[StatusCode::ACCEPTED]).await.map(drop)
    }

    fn lease(&self, container: &str, name: &str, action: &str) -> Call {
        let call = Call::new(Method::PUT, self.url(container, name)).query("comp", "lease");
        call.header("x-ms-lease-action", action)
    }
}
