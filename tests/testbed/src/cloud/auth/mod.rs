//! Who may do what: Shared Key, service SAS and account SAS, verified as the service does.

mod sas;
mod shared_key;

use std::sync::Arc;

use super::call::{Call, Query, Target};
use super::error::Refusal;
use super::operation::{Operation, ResourceType};
use super::state::Account;

/// What a request rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// The account's key: everything.
    Key,
    /// A signature that permits this operation.
    Sas,
    /// A signature that permits new blobs, but no overwriting (`c` without `w`).
    SasCreateOnly,
}

/// Verifies a request.
///
/// # Errors
/// As the service refuses: 401 without any credential, 403 with a bad or insufficient one.
pub(crate) fn verify(account: &Arc<Account>, call: &Call, operation: Operation) -> Result<Grant, Refusal> {
    let authorization = call.header("authorization");
    if !authorization.is_empty() {
        return shared_key::verify(account, call, authorization).map(|()| Grant::Key);
    }
    let (letters, kind) = operation.permissions();
    verify_sas(account, &call.target, &call.query, letters, kind)
}

/// Verifies the URL of a copy's source: it must permit reading.
///
/// # Errors
/// As the source would refuse.
pub(crate) fn verify_source(account: &Arc<Account>, target: &Target, query: &Query) -> Result<(), Refusal> {
    verify_sas(account, target, query, "r", ResourceType::Object).map(drop)
}

fn verify_sas(
    account: &Arc<Account>,
    target: &Target,
    query: &Query,
    letters: &str,
    kind: ResourceType,
) -> Result<Grant, Refusal> {
    if query.find("sig").is_none() {
        let message = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
        return Err(Refusal::new(401, "NoAuthenticationInformation", message).header(
            "www-authenticate",
            "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize",
        ));
    }
    let permissions = sas::verify(account, target, query, letters, kind)?;
    if !letters.chars().any(|letter| permissions.contains(letter)) {
        let message = "This request is not authorized to perform this operation using this permission.";
        return Err(Refusal::new(403, "AuthorizationPermissionMismatch", message));
    }
    Ok(if letters == "wc" && !permissions.contains('w') { Grant::SasCreateOnly } else { Grant::Sas })
}

/// The refusal of a signature that does not hold.
fn failed(why: impl Into<String>) -> Refusal {
    let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed \
                   correctly including the signature.";
    Refusal::new(403, "AuthenticationFailed", message).detail("AuthenticationErrorDetail", why)
}
