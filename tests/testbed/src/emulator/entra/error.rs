//! Refusals in the shape that Azure AD gave them (contract ams-v2 section 1.2).

use axum::body::Body;
use axum::http::Response;
use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::emulator::doors::reply;

/// A refusal: the HTTP status, the OAuth error, the number after `AADSTS`, and the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) code: u32,
    pub(super) text: String,
}

impl Refusal {
    /// 400 with an OAuth error of its own.
    pub(super) fn request(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { status: 400, error, code, text: text.into() }
    }

    /// 401 `invalid_client`: the credentials are not good.
    pub(super) fn client(code: u32, text: impl Into<String>) -> Self {
        Self { status: 401, error: "invalid_client", code, text: text.into() }
    }

    /// 400 `invalid_request`: a field of the form is missing.
    pub(super) fn missing(field: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{field}'.");
        Self::request("invalid_request", 900_144, text)
    }

    /// The reply; branch on `error` and the status only, as Microsoft says.
    pub(super) fn reply(&self) -> Response<Body> {
        let (trace_id, correlation_id) = (Uuid::new_v4(), Uuid::new_v4());
        let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
        let timestamp = OffsetDateTime::now_utc().format(format).unwrap_or_default();
        let description = format!(
            "AADSTS{}: {}\r\nTrace ID: {trace_id}\r\nCorrelation ID: {correlation_id}\r\nTimestamp: {timestamp}",
            self.code, self.text
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        });
        reply::json(self.status, &body)
    }
}
