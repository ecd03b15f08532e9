//! A refusal: the HTTP status and the text that the service would give.

/// A refusal of the emulated service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AmsError {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl AmsError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(404, format!("resource not found: {what}"))
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, message)
    }

    /// The storage account did not do what was asked. The service calls that an internal error, but 409 where the container is
    /// missing or storage does not know its key (contract ams-v2 section 5.2).
    pub(crate) fn of_storage(error: &anyhow::Error) -> Self {
        let text = format!("the storage account could not be used: {error:#}");
        let is_conflict = ["ContainerNotFound", "AuthenticationFailed", "AuthorizationFailure"];
        let status = if is_conflict.iter().any(|code| text.contains(code)) { 409 } else { 500 };
        Self::new(status, text)
    }
}
