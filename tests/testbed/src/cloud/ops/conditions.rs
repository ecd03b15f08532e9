//! Conditional headers and leases: may this write, read or copy go on?

use super::Request;
use crate::cloud::call::Call;
use crate::cloud::clock::parse_http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::blob::Blob;
use crate::cloud::state::lease::LeaseState;

/// The four conditions, as a request's headers name them.
struct Conditions<'a> {
    matches: Option<&'a str>,
    none_matches: Option<&'a str>,
    modified_since: Option<i64>,
    unmodified_since: Option<i64>,
}

/// Which of them does not hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Match,
    NoneMatch,
    Since,
    UnmodifiedSince,
}

impl<'a> Conditions<'a> {
    /// `prefix` is empty, or `x-ms-source-`.
    fn of(call: &'a Call, prefix: &str) -> Self {
        let one = |name: &str| call.find_header(&format!("{prefix}{name}"));
        let date = |name: &str| one(name).and_then(parse_http_date);
        Self {
            matches: one("if-match"),
            none_matches: one("if-none-match"),
            modified_since: date("if-modified-since"),
            unmodified_since: date("if-unmodified-since"),
        }
    }

    fn broken(&self, blob: Option<&Blob>) -> Option<Broken> {
        let Some(blob) = blob else { return self.matches.map(|_| Broken::Match) };
        let (etag, modified) = (blob.stamp.etag, blob.stamp.modified);
        if self.matches.is_some_and(|value| !etag.is(value)) {
            Some(Broken::Match)
        } else if self.none_matches.is_some_and(|value| etag.is(value)) {
            Some(Broken::NoneMatch)
        } else if self.modified_since.is_some_and(|date| modified <= date) {
            Some(Broken::Since)
        } else if self.unmodified_since.is_some_and(|date| modified > date) {
            Some(Broken::UnmodifiedSince)
        } else {
            None
        }
    }
}

/// Reads: 304 where the reader has it already ("Specifying conditional headers for Blob service operations").
pub(super) fn verify_read(call: &Call, blob: &Blob) -> Result<(), Refusal> {
    match Conditions::of(call, "").broken(Some(blob)) {
        None => Ok(()),
        Some(Broken::NoneMatch | Broken::Since) => {
            Err(Refusal::new(304, "ConditionNotMet", "").header("etag", blob.stamp.etag.quoted()))
        }
        Some(_) => Err(Refusal::condition_not_met()),
    }
}

/// Writes onto a name: the conditions, the lease, no copy under way, and no overwriting without the right to.
pub(super) fn verify_write(request: &Request<'_>, blob: Option<&Blob>) -> Result<(), Refusal> {
    verify_target(request, blob, Refusal::condition_not_met())
}

/// The same of copies, whose conditions have a code of their own.
pub(super) fn verify_copy_target(request: &Request<'_>, blob: Option<&Blob>) -> Result<(), Refusal> {
    let message = "The target condition specified using HTTP conditional header(s) is not met.";
    verify_target(request, blob, Refusal::new(412, "TargetConditionNotMet", message))
}

fn verify_target(request: &Request<'_>, blob: Option<&Blob>, not_met: Refusal) -> Result<(), Refusal> {
    let conditions = Conditions::of(request.call, "");
    match conditions.broken(blob) {
        None => {}
        Some(Broken::NoneMatch) if conditions.none_matches.map(str::trim) == Some("*") => {
            return Err(Refusal::new(409, "BlobAlreadyExists", "The specified blob already exists."));
        }
        Some(_) => return Err(not_met),
    }
    let Some(blob) = blob else { return verify_lease(request.call, None) };
    if request.grant == super::Grant::SasCreateOnly {
        let message = "This request is not authorized to perform blob overwrites.";
        return Err(Refusal::new(403, "UnauthorizedBlobOverwrite", message));
    }
    verify_lease(request.call, Some(blob))?;
    if blob.is_pending() { Err(Refusal::pending_copy()) } else { Ok(()) }
}

/// A leased blob is written by those who name its lease ("Outcomes of use attempts on blobs", Lease Blob).
pub(super) fn verify_lease(call: &Call, blob: Option<&Blob>) -> Result<(), Refusal> {
    let given = call.find_header("x-ms-lease-id");
    let Some(lease) = blob.and_then(|blob| blob.lease.as_deref()) else {
        let message = "There is currently no lease on the blob.";
        return given.map_or(Ok(()), |_| Err(Refusal::new(412, "LeaseNotPresentWithBlobOperation", message)));
    };
    let is_locked = LeaseState::of(Some(lease)).is_locked();
    match given {
        None if is_locked => {
            let message = "There is currently a lease on the blob and no lease ID was specified in the request.";
            Err(Refusal::new(412, "LeaseIdMissing", message))
        }
        None => Ok(()),
        Some(id) if is_locked && id.eq_ignore_ascii_case(&lease.id) => Ok(()),
        Some(_) if is_locked => {
            let message = "The lease ID specified did not match the lease ID for the blob.";
            Err(Refusal::new(412, "LeaseIdMismatchWithBlobOperation", message))
        }
        Some(_) => {
            Err(Refusal::new(412, "LeaseLost", "A lease ID was specified, but the lease for the blob has expired."))
        }
    }
}

/// Reads may name the blob's lease, and are refused with another one.
pub(super) fn verify_lease_of_read(call: &Call, blob: Option<&Blob>) -> Result<(), Refusal> {
    match call.find_header("x-ms-lease-id") {
        Some(_) => verify_lease(call, blob),
        None => Ok(()),
    }
}

/// `x-ms-source-if-*` of copies.
pub(super) fn verify_source(call: &Call, blob: &Blob) -> Result<(), Refusal> {
    if Conditions::of(call, "x-ms-source-").broken(Some(blob)).is_none() {
        return Ok(());
    }
    let message = "The source condition specified using HTTP conditional header(s) is not met.";
    Err(Refusal::new(412, "SourceConditionNotMet", message))
}
