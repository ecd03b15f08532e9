//! The other side of a copy: finds the source, and verifies that it may be read in the version that is asked for.

use std::sync::Arc;

use url::Url;

use super::{Request, conditions};
use crate::cloud::auth::{self, Grant};
use crate::cloud::call::{Query, Target};
use crate::cloud::error::Refusal;
use crate::cloud::state::Account;
use crate::cloud::state::blob::Blob;
use crate::cloud::state::content::Content;

/// What is to be copied, as it was when the request came.
pub(super) struct Source {
    pub(super) account: Arc<Account>,
    pub(super) target: Target,
    /// Without its signature.
    pub(super) url: String,
    pub(super) blob: Arc<Blob>,
}

impl Source {
    /// The blob of `x-ms-copy-source`. The model has one door, so that host and port do not matter.
    ///
    /// # Errors
    /// `CannotVerifyCopySource` with the source's own status and code; `SourceConditionNotMet`.
    pub(super) fn find(request: &Request<'_>) -> Result<Self, Refusal> {
        let header = request.call.header("x-ms-copy-source");
        let mut url = Url::parse(header).map_err(|_| Refusal::invalid_header("x-ms-copy-source"))?;
        let target = Target::parse(url.path());
        let query = url.query().map(Query::parse).unwrap_or_default();
        url.set_query(None);
        let account = request.shared.account(&target.account).map_err(Refusal::of_copy_source)?;
        // an account may copy its own blobs with its own key (Copy Blob, Azure Blob REST)
        let is_own = request.grant == Grant::Key && account.name == request.account.name;
        if !is_own {
            auth::verify_source(&account, &target, &query).map_err(Refusal::of_copy_source)?;
        }
        let costs = request.shared.costs();
        if costs.counts_copies_at_source && !account.requests.take(costs.requests_per_second) {
            return Err(request.shared.busy().of_copy_source());
        }
        let blob = account.with(&target.container, |container| container.blob(&target.blob).cloned());
        let blob = blob.map_err(Refusal::of_copy_source)?;
        conditions::verify_source(request.call, &blob)?;
        if blob.is_pending() {
            return Err(Refusal::pending_copy().of_copy_source());
        }
        Ok(Self { account, target, url: url.into(), blob })
    }

    /// Verifies what the client says about the content, by what it is.
    pub(super) fn verify_md5(request: &Request<'_>, content: &Content) -> Result<(), Refusal> {
        match super::put::md5_header(request.call, "x-ms-source-content-md5")? {
            Some(md5) if md5 != content.md5() => Err(Refusal::md5_mismatch()),
            _ => Ok(()),
        }
    }
}

/// The source is larger than the operation takes: the service gives the code of everything that is wrong with sources,
/// without a source's status (azure-sdk-for-go issue 19880).
pub(super) fn verify_size(size: u64, max_mib: u64) -> Result<(), Refusal> {
    if size <= max_mib * 1024 * 1024 {
        return Ok(());
    }
    let message = format!(
        "The source request body for copy source is too large and exceeds the maximum permissible limit ({max_mib}MB)."
    );
    Err(Refusal::new(409, "CannotVerifyCopySource", message))
}
