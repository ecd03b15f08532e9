//! Why no answer came, told by what may have happened on the other side.

use std::error::Error;

use reqwest::Method;
use url::Url;

use super::message::shown;
use crate::failure::Failure;
use crate::model::SiteName;
use crate::tls::Distrust;

/// The setting that names whom to trust in HTTP.
pub(super) const AUTHORITIES: &str = "http.ca_file";

/// What may have happened on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpErrorKind {
    /// No connection: nothing was sent.
    Connect,
    /// The peer was reached and is not believed, or does not believe us: nothing was sent.
    Distrusted,
    /// The time was over; the request may have been carried out.
    Timeout,
    /// The connection broke; the request may have been carried out.
    Interrupted,
    /// The answer is longer than the setting allows; the request was carried out.
    TooLarge,
    /// The address or a header cannot be sent at all.
    BadUrl,
}

/// The client cannot be built: the machine's TLS trust cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be built, look at the machine's CA certificates: {0}")]
pub struct HttpSetupError(pub(super) String);

/// No usable answer. Never shows a query, a header's value or a body.
#[derive(Debug, thiserror::Error)]
#[error("{method} {place}: {reason}")]
pub struct HttpError {
    /// What may have happened on the other side.
    pub kind: HttpErrorKind,
    method: Method,
    place: String,
    reason: String,
    hint: Option<String>,
}

impl HttpError {
    pub(super) fn new(kind: HttpErrorKind, method: &Method, url: &Url, reason: impl Into<String>) -> Self {
        Self { kind, method: method.clone(), place: shown(url), reason: reason.into(), hint: None }
    }

    /// Reads what reqwest says; its own text would show the whole address.
    pub(super) fn from_reqwest(method: &Method, url: &Url, error: reqwest::Error) -> Self {
        if let Some(distrust) = Distrust::find(&error) {
            let hint = Some(distrust.hint(AUTHORITIES, None));
            return Self { hint, ..Self::new(HttpErrorKind::Distrusted, method, url, distrust.to_string()) };
        }
        let kind = if error.is_builder() {
            HttpErrorKind::BadUrl
        } else if error.is_connect() {
            HttpErrorKind::Connect
        } else if error.is_timeout() {
            HttpErrorKind::Timeout
        } else {
            HttpErrorKind::Interrupted
        };
        let what = match kind {
            HttpErrorKind::BadUrl => "cannot be sent",
            HttpErrorKind::Connect | HttpErrorKind::Distrusted => "cannot connect",
            HttpErrorKind::Timeout => "no answer in time",
            HttpErrorKind::Interrupted | HttpErrorKind::TooLarge => "connection broke",
        };
        let error = error.without_url();
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let reason = causes.last().map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"));
        Self::new(kind, method, url, reason)
    }

    /// What went wrong, without the address.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the other side may have carried the request out.
    #[must_use]
    pub fn may_have_been_done(&self) -> bool {
        !matches!(self.kind, HttpErrorKind::Connect | HttpErrorKind::Distrusted | HttpErrorKind::BadUrl)
    }

    /// The failure that this is at `site`.
    #[must_use]
    pub fn into_failure(self, site: &SiteName) -> Failure {
        let message = self.to_string();
        let failure = match self.kind {
            HttpErrorKind::Connect => Failure::transient("cannot-connect", message)
                .with_hint("check this address in the settings, its name in the DNS, and the firewalls in between"),
            HttpErrorKind::Distrusted => {
                let failure = Failure::transient("certificate-refused", message);
                match self.hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
            HttpErrorKind::Timeout => Failure::transient("timeout", message),
            HttpErrorKind::Interrupted => Failure::transient("connection-lost", message),
            HttpErrorKind::TooLarge => {
                Failure::permanent("answer-too-large", message).with_hint("raise http.max_response_bytes")
            }
            HttpErrorKind::BadUrl => {
                Failure::permanent("bad-url", message).with_hint("check the addresses in the settings of this site")
            }
        };
        failure.at_site(site)
    }
}
