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

    /// The storage account did not do what was asked; the service calls that an internal error.
    pub(crate) fn of_storage(error: &anyhow::Error) -> Self {
        Self::new(500, format!("the storage account could not be used: {error:#}"))
    }
}
