//! The one place that turns an answer of the storage service into a failure. No URL's query gets past it, for a query
//! holds a signature.

use std::error::Error as _;
use std::fmt::Write;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::RawResponse;
use azure_core::http::headers::{HeaderName, RETRY_AFTER};
use azure_core::http::policies::get_retry_after;
use azure_storage_blob::StorageError;
use time::OffsetDateTime;

use crate::failure::{Failure, Part};
use crate::tls::Distrust;

/// However long the service asks us to wait, we look again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

/// When a copy that is still pending is worth a look.
pub const CHECK_COPY_AFTER: Duration = Duration::from_secs(30);

/// The service's text is cut after so many characters.
const LONGEST_MESSAGE: usize = 300;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");
const COPY_SOURCE_STATUS: HeaderName = HeaderName::from_static("x-ms-copy-source-status-code");

/// Why a call failed.
#[derive(Debug)]
pub enum Refusal {
    /// No answer came, or half of one.
    Unreachable(String),
    /// It was reached at this address, and is not believed.
    Distrusted(String, Distrust),
    /// The request could not even be made.
    Unsendable(String),
    /// The service said no.
    Answer(Answer),
}

/// The service's no.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    /// Such as `ServerBusy` (Azure Storage REST, "Status and error codes"); the service always gives one, so it is
    /// empty only when something else answered.
    code: String,
    message: String,
    /// What the copy's source answered to the service.
    copy_source_status: Option<u16>,
    retry_after: Option<Duration>,
}

impl From<azure_core::Error> for Refusal {
    fn from(error: azure_core::Error) -> Self {
        if let Some(distrust) = Distrust::find(&error) {
            let text = error.source().map(ToString::to_string).unwrap_or_default();
            return Self::Distrusted(address(&text).map(harmless).unwrap_or_default(), distrust);
        }
        match error.kind() {
            ErrorKind::HttpResponse { status, raw_response, .. } => {
                let (status, raw) = (u16::from(*status), raw_response.clone());
                Self::Answer(Answer::new(status, raw.as_deref(), StorageError::try_from(error).ok()))
            }
            ErrorKind::Connection | ErrorKind::Io | ErrorKind::DataConversion => Self::Unreachable(chain(&error)),
            _ => Self::Unsendable(chain(&error)),
        }
    }
}

impl Answer {
    fn new(status: u16, raw: Option<&RawResponse>, body: Option<StorageError>) -> Self {
        let headers = raw.map(RawResponse::headers);
        let code = headers.and_then(|headers| headers.get_optional_string(&ERROR_CODE)).unwrap_or_default();
        let source_header = headers.and_then(|headers| headers.get_optional_str(&COPY_SOURCE_STATUS));
        let (body_status, message) = body.map(|body| (body.copy_source_status_code, body.message)).unwrap_or_default();
        let retry_after = headers
            .and_then(|headers| get_retry_after(headers, OffsetDateTime::now_utc, &[RETRY_AFTER_MS, RETRY_AFTER]))
            .and_then(|wait| Duration::try_from(wait).ok());
        Self {
            status,
            code,
            message: harmless(&message.unwrap_or_default()),
            copy_source_status: body_status
                .map(u16::from)
                .or_else(|| source_header.and_then(|status| status.parse().ok())),
            retry_after: retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER)),
        }
    }

    fn is_about_copy_source(&self) -> bool {
        self.code == "CannotVerifyCopySource" || self.copy_source_status.is_some()
    }

    fn failure(&self, told: String) -> Failure {
        if self.is_about_copy_source() {
            return self.copy_source_failure(told);
        }
        let is_throttled = matches!(self.status, 429 | 503) || self.code == "OperationTimedOut";
        let failure = match (self.status, self.code.as_str()) {
            (408 | 429 | 500 | 502 | 503 | 504, _) => Failure::transient("storage-busy", told).of_part(Part::Storage),
            (401 | 403, _) => Failure::permanent("storage-denied", told).with_hint(denied_hint(&self.code)),
            (404, "ContainerNotFound") => Failure::permanent("container-missing", told)
                .with_hint("the asset has lost its container: look whether its storage account is the right one"),
            (404, _) => Failure::transient("blob-gone", told),
            (409, "PendingCopyOperation") => Failure::needs_more_time("copy-pending", told, CHECK_COPY_AFTER),
            (409, "ContainerBeingDeleted" | "OperationAborted" | "ContainerBeingDisabled") => {
                Failure::transient("storage-conflict", told)
            }
            (409 | 412, code) if code.starts_with("Lease") => Failure::transient("blob-leased", told)
                .with_hint("somebody holds a lease on this blob or container: break it, or wait until it ends"),
            (412, _) => Failure::transient("source-changed", format!("{told}: the source changed during the copy")),
            _ => Failure::permanent("storage-refused", told),
        };
        failure.with_retry_after(self.retry_after).throttled(is_throttled)
    }

    /// The one code `CannotVerifyCopySource` stands for everything that the source's side may answer.
    fn copy_source_failure(&self, told: String) -> Failure {
        let failure = match self.copy_source_status.unwrap_or(self.status) {
            401 | 403 => Failure::permanent("source-denied", told).with_hint(
                "the replica's storage service may not read from the source account: check the source's key, and that \
                 its firewall lets in the replica's service (the worker's address does not matter here)",
            ),
            404 => Failure::transient("source-gone", told),
            412 => Failure::transient("source-changed", format!("{told}: the source changed during the copy")),
            408 | 429 | 500.. => Failure::transient("source-busy", told).of_part(Part::Storage),
            _ => Failure::permanent("storage-refused", told),
        };
        let is_throttled = matches!(self.copy_source_status, Some(429 | 503));
        failure.with_retry_after(self.retry_after).throttled(is_throttled)
    }
}

impl Refusal {
    /// What has become of `doing`, such as `listing container 'x'`.
    pub fn failure(&self, doing: &str) -> Failure {
        match self {
            Self::Unreachable(why) => Failure::transient(
                "storage-unreachable",
                format!("{doing}: no answer from the storage service ({why})"),
            )
            .of_part(Part::Storage)
            .with_hint("check storage.blob_url of this site, its name in the DNS, and the firewalls in between"),
            Self::Distrusted(place, why) => Failure::transient(
                "certificate-refused",
                format!("{doing}: the storage service at {place} cannot be used: {why}"),
            )
            .of_part(Part::Storage)
            .with_hint(why.hint("http.ca_file", None)),
            Self::Unsendable(why) => {
                Failure::permanent("storage-request", format!("{doing}: the request cannot be made ({why})"))
            }
            Self::Answer(answer) => {
                let mut told = format!("{doing}: the storage service answers {}", answer.status);
                if !answer.code.is_empty() {
                    let _ = write!(told, " {}", answer.code);
                }
                if let Some(status) = answer.copy_source_status {
                    let _ = write!(told, ", as the source answers {status}");
                }
                if !answer.message.is_empty() {
                    let _ = write!(told, " ({})", answer.message);
                }
                answer.failure(told)
            }
        }
    }

    /// Whether the service says that it does not have this operation.
    pub fn is_not_implemented(&self) -> bool {
        self.is_answer(|answer| answer.status == 501 || answer.code == "APINotImplemented")
    }

    /// Whether the request broke whatever answered: Azurite's answer to Put Blob From URL, which it does not have.
    pub fn is_bare_error(&self) -> bool {
        self.is_answer(|answer| matches!(answer.status, 400 | 500) && answer.code.is_empty())
    }

    /// Whether the source is larger than this operation takes.
    pub fn is_too_large(&self) -> bool {
        self.is_answer(|answer| answer.status == 413 || (answer.status == 409 && answer.code.contains("Size")))
    }

    /// Whether the service does not let us.
    pub fn is_denied(&self) -> bool {
        self.is_answer(|answer| matches!(answer.status, 401 | 403))
    }

    /// Whether no answer came in time.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether there is no such container.
    pub fn is_container_absent(&self) -> bool {
        self.is_answer(|answer| answer.status == 404 && answer.code == "ContainerNotFound")
    }

    /// Whether there is no such blob.
    pub fn is_blob_absent(&self) -> bool {
        self.is_answer(|answer| answer.status == 404)
    }

    /// Whether the lease that the request names is held no longer, or its blob is gone with it
    /// (Lease Blob, Azure Blob REST, "Outcomes of lease operations").
    pub fn is_lease_lost(&self) -> bool {
        self.is_blob_absent()
            || self.is_answer(|answer| matches!(answer.status, 409 | 412) && answer.code.starts_with("Lease"))
    }

    /// Whether the service gives this error code.
    pub fn has_code(&self, code: &str) -> bool {
        self.is_answer(|answer| answer.code == code)
    }

    fn is_answer(&self, test: impl FnOnce(&Answer) -> bool) -> bool {
        matches!(self, Self::Answer(answer) if test(answer))
    }
}

fn denied_hint(code: &str) -> &'static str {
    match code {
        "AuthenticationFailed" => "check the account's key in the settings (was it rotated?), and this machine's clock",
        "KeyBasedAuthenticationNotPermitted" => "the storage account must allow access with its key",
        _ => "check the account's key in the settings, the storage account's firewall, and this machine's clock",
    }
}

/// The address that the transport names in its text.
fn address(text: &str) -> Option<&str> {
    text.split_once("for url (").and_then(|(_, rest)| Some(rest.split_once(')')?.0))
}

/// An error with its causes, harmless; where the transport names the address, only that and the last cause.
fn chain(error: &azure_core::Error) -> String {
    let mut text = error.to_string();
    let mut last = None;
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        last = Some(error.to_string());
        cause = error.source();
    }
    match (address(&text).map(harmless), last) {
        (Some(address), Some(last)) => format!("{address}: {}", harmless(&last)),
        _ => harmless(&text),
    }
}

/// The first line of a text from outside, cut to a length, and of every URL in it only what stands before its query.
pub fn harmless(text: &str) -> String {
    let mut in_query = false;
    let line = text.lines().next().unwrap_or_default().replace("sig=", "?");
    let kept = line.trim().chars().filter(|&letter| {
        in_query = !ends_url(letter) && (in_query || letter == '?');
        !in_query
    });
    kept.take(LONGEST_MESSAGE).collect::<String>().trim_end_matches('.').to_owned()
}

fn ends_url(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, ')' | '"' | '\'' | '<' | '>')
}
