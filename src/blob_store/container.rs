//! One container with the right to use it: makes the signed URLs and the SDK's clients of its blobs.

use std::fmt;
use std::sync::Arc;

use azure_core::error::CheckSuccessOptions;
use azure_core::http::policies::Policy;
use azure_core::http::{
    AsyncResponseBody, ClientOptions, Context, Pipeline, PipelineStreamOptions, Request, RetryOptions,
};
use azure_storage_blob::{BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use url::Url;

use super::Account;
use super::sas::{Grant, Signer};
use crate::settings::Secret;

/// What stays as it is in the path of a blob's URL: RFC 3986's unreserved characters and the slash.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A container and the right to use it. Cheap to clone.
#[derive(Clone)]
pub struct Container {
    pub(super) account: Account,
    /// The account's address, without a slash at the end.
    pub(super) endpoint: Arc<str>,
    pub(super) name: Arc<str>,
    /// Only blobs whose names begin with it are listed.
    pub(super) prefix: Option<Arc<str>>,
    pub(super) access: Access,
}

/// What the right to use a container comes from.
#[derive(Clone)]
pub(super) enum Access {
    /// The account's key: every request is signed for itself, with the least permission that it needs.
    Key(Arc<Signer>),
    /// A signature that somebody else made, as the query of a URL: the same for every request.
    Sas(Secret),
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Container({} of {})", self.name, self.account.site)
    }
}

impl Container {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's address, without a slash at the end.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Only what is in one of its folders: a prefix of names that ends with a slash.
    #[must_use]
    pub fn within(self, folder: Option<&str>) -> Self {
        Self { prefix: folder.map(Into::into), ..self }
    }

    /// The signed URL of what `grant` is about. The name is percent-encoded exactly once.
    pub(super) fn url(&self, grant: Grant<'_>) -> azure_core::Result<Url> {
        let mut path = match grant {
            Grant::LookAtService => String::new(),
            _ => utf8_percent_encode(&self.name, KEPT).to_string(),
        };
        if let Some(name) = grant.blob() {
            path = format!("{path}/{}", utf8_percent_encode(name, KEPT));
        }
        let query: &str = match &self.access {
            Access::Key(signer) => &signer.sign(&self.name, grant, OffsetDateTime::now_utc()),
            Access::Sas(query) => query.expose(),
        };
        Ok(Url::parse(&format!("{}/{path}?{query}", self.endpoint))?)
    }

    pub(super) fn client(&self, grant: Grant<'_>) -> azure_core::Result<BlobContainerClient> {
        let options = BlobContainerClientOptions { client_options: self.client_options(None), ..Default::default() };
        BlobContainerClient::new(self.url(grant)?, None, Some(options))
    }

    pub(super) fn blob(&self, grant: Grant<'_>, policy: Option<Arc<dyn Policy>>) -> azure_core::Result<BlobClient> {
        let options = BlobClientOptions { client_options: self.client_options(policy), ..Default::default() };
        BlobClient::new(self.url(grant)?, None, Some(options))
    }

    /// Sends a request whose answer is large, and for which the SDK has no call that gives it as it comes.
    pub(super) async fn stream(
        &self,
        mut request: Request,
        success_codes: &'static [u16],
    ) -> azure_core::Result<AsyncResponseBody> {
        let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
        let client_options =
            ClientOptions { transport: Some(self.account.transport.downloads()), ..self.client_options(None) };
        let pipeline = Pipeline::new(name, version, client_options, Vec::new(), Vec::new(), None);
        let options =
            PipelineStreamOptions { check_success: CheckSuccessOptions { success_codes }, ..Default::default() };
        Ok(pipeline.stream(&Context::new(), &mut request, Some(options)).await?.into_body())
    }

    /// No retries in the SDK: they are ours, each with a signature of its own.
    pub(super) fn client_options(&self, policy: Option<Arc<dyn Policy>>) -> ClientOptions {
        ClientOptions {
            transport: Some(self.account.transport.azure()),
            retry: RetryOptions::none(),
            per_call_policies: policy.into_iter().collect(),
            ..Default::default()
        }
    }
}
