//! The one place that turns an answer of AMS v2 into a failure (contract ams-v2, sections 5.2 and 5.3).

use super::error_text::{error_text, unquoted};
use crate::failure::{Failure, Part};
use crate::http::{HttpError, Response, retry_after};
use crate::model::SiteName;

/// A call that did not succeed: its failure, and what a caller must know before it repeats a POST.
#[derive(Debug)]
pub struct CallError {
    pub failure: Failure,
    /// The status, when there was an answer.
    pub status: Option<u16>,
    /// Whether it is certain that the service has changed nothing.
    pub nothing_happened: bool,
}

impl CallError {
    /// An error made before anything was sent to the service.
    pub fn before(failure: Failure) -> Self {
        Self { failure, status: None, nothing_happened: true }
    }

    pub fn from_http(error: HttpError, site: &SiteName) -> Self {
        let nothing_happened = !error.may_have_been_done();
        Self { failure: error.into_failure(site).of_part(Part::MediaService), status: None, nothing_happened }
    }

    /// An answer that cannot be read, though its status says success.
    pub fn unreadable(call: &str, error: &serde_json::Error, site: &SiteName) -> Self {
        let message = format!("the media service's answer to {call} cannot be read: {}", unquoted(&error.to_string()));
        let failure = Failure::transient("unreadable-answer", message).at_site(site);
        Self { failure, status: None, nothing_happened: false }
    }

    /// Whether the service may have done what was asked, so that one must look before asking again.
    pub fn is_ambiguous(&self) -> bool {
        self.failure.is_transient() && !self.nothing_happened
    }

    /// Whether the service says that the entity is not there. A gateway's page with the same status is something else.
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404) && !self.failure.is_transient()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        error.failure
    }
}

/// `call` is verb and resource, without query; `secret` is struck from the text, should the service echo it.
pub fn classify(call: &str, response: &Response, secret: &str, site: &SiteName) -> CallError {
    let status = response.status;
    let text = error_text(&response.body, secret);
    let text = if text.is_empty() { "no explanation".to_owned() } else { text };
    let request_id = response.header("x-ms-request-id").or_else(|| response.header("request-id"));
    let request_id = request_id.map(|id| format!(" (request {id})")).unwrap_or_default();
    let message = format!("the media service answered {status} to {call}: {text}{request_id}");
    let failure = match status {
        404 if is_html(&response.body) => Failure::transient("unexpected-answer", message),
        408 | 429 | 503 => Failure::transient("media-service-busy", message),
        500..=599 => Failure::transient("media-service-error", message),
        _ => permanent(status, message),
    };
    let nothing_happened = !matches!(status, 200..=299 | 500..=502 | 504..=599);
    let failure = failure.with_retry_after(retry_after(response)).of_part(Part::MediaService).at_site(site);
    CallError { failure, status: Some(status), nothing_happened }
}

fn permanent(status: u16, message: String) -> Failure {
    let (code, hint) = match status {
        400 => ("bad-request", "the service does not know this request: report it with this text"),
        401 => ("unauthorized", "check media.account and media.key, and that the account may use this media service"),
        403 => ("forbidden", "check that the account is enabled and its quotas are not reached"),
        404 => ("not-found", "check that it was not deleted"),
        409 => (
            "conflict",
            "check that the asset's container exists and that the media account holds the current storage key",
        ),
        _ => ("refused", "check media.api_url and the account"),
    };
    Failure::permanent(code, message).with_hint(hint)
}

/// Entities that are missing are reported as OData errors; pages come from gateways and from wrong addresses.
fn is_html(body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&body[..body.len().min(200)]).trim_start().to_ascii_lowercase();
    start.starts_with("<!doctype") || start.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, body: &'static str) -> (&'static str, &'static str, bool) {
        let response = Response { status, headers: Default::default(), body: body.into() };
        let error = classify("POST Locators", &response, "tok", &"west".parse().unwrap());
        (error.failure.kind.name(), error.failure.code, error.is_ambiguous())
    }

    #[test]
    fn statuses_have_the_classes_of_the_contract() {
        for status in [408, 429, 503] {
            assert_eq!(class(status, ""), ("transient", "media-service-busy", false), "{status}");
        }
        for status in [500, 502, 504] {
            assert_eq!(class(status, ""), ("transient", "media-service-error", true), "{status}");
        }
        for status in [400, 401, 403, 404, 409, 412, 418, 304] {
            assert_eq!(class(status, "").0, "permanent", "{status}");
        }
        assert_eq!(class(404, " <html>gone fishing</html>"), ("transient", "unexpected-answer", false));
    }

    #[test]
    fn a_token_that_is_echoed_is_struck_out() {
        let response = Response { status: 401, headers: Default::default(), body: "bad tok".into() };
        let error = classify("GET Assets", &response, "tok", &"west".parse().unwrap());
        assert_eq!(&*error.failure.message, "the media service answered 401 to GET Assets: bad [redacted]");
    }
}
