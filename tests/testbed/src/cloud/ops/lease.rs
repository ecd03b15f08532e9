//! Lease Blob: acquire, renew, change, release, break ("Outcomes of lease operations on blobs by lease state").

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Request;
use crate::cloud::answer::Answer;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::blob::Blob;
use crate::cloud::state::lease::{Lease, LeaseState};

/// Lease Blob. The blob's ETag stays.
pub(super) fn lease(request: &Request<'_>) -> Result<Answer, Refusal> {
    let (call, target) = (request.call, &request.call.target);
    request.account.with(&target.container, |container| {
        let place = container.blobs.get_mut(target.blob.as_str()).ok_or_else(Refusal::blob_not_found)?;
        let state = LeaseState::of(place.lease.as_deref());
        let blob = Arc::make_mut(place);
        let answer = match call.header("x-ms-lease-action") {
            "acquire" => acquire(request, blob, state),
            "renew" => renew(request, blob, state),
            "change" => change(request, blob, state),
            "release" => release(request, blob),
            "break" => break_it(request, blob, state),
            _ => Err(Refusal::invalid_header("x-ms-lease-action")),
        }?;
        let answer = answer.header("etag", &blob.stamp.etag.quoted());
        Ok(answer.header("last-modified", &http_date(blob.stamp.modified)))
    })
}

fn mismatch() -> Refusal {
    let message = "The lease ID specified did not match the lease ID for the blob.";
    Refusal::new(409, "LeaseIdMismatchWithLeaseOperation", message)
}

fn not_present() -> Refusal {
    let message = "There is currently no lease on the blob.";
    Refusal::new(409, "LeaseNotPresentWithLeaseOperation", message)
}

/// The lease that the request names.
fn its_lease<'a>(request: &Request<'_>, blob: &'a mut Blob) -> Result<&'a mut Lease, Refusal> {
    let id = request.call.find_header("x-ms-lease-id").ok_or_else(|| Refusal::missing_header("x-ms-lease-id"))?;
    let lease = blob.lease.as_deref_mut().ok_or_else(mismatch)?;
    if lease.id.eq_ignore_ascii_case(id) { Ok(lease) } else { Err(mismatch()) }
}

fn acquire(request: &Request<'_>, blob: &mut Blob, state: LeaseState) -> Result<Answer, Refusal> {
    let call = request.call;
    let duration = match call.header("x-ms-lease-duration") {
        "" => return Err(Refusal::missing_header("x-ms-lease-duration")),
        "-1" => None,
        text => match text.parse() {
            Ok(seconds @ 15..=60) => Some(Duration::from_secs(seconds)),
            _ => return Err(Refusal::invalid_header("x-ms-lease-duration")),
        },
    };
    let proposed = call.find_header("x-ms-proposed-lease-id").map(str::to_lowercase);
    let is_same = blob.lease.as_ref().is_some_and(|lease| Some(&lease.id) == proposed.as_ref());
    if state == LeaseState::Breaking || state == LeaseState::Leased && !is_same {
        return Err(Refusal::new(409, "LeaseAlreadyPresent", "There is already a lease present."));
    }
    let id = proposed.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let answer = Answer::new(201).header("x-ms-lease-id", &id);
    blob.lease = Some(Box::new(Lease { id, duration, since: Instant::now(), broken_at: None }));
    Ok(answer)
}

fn renew(request: &Request<'_>, blob: &mut Blob, state: LeaseState) -> Result<Answer, Refusal> {
    let lease = its_lease(request, blob)?;
    if matches!(state, LeaseState::Breaking | LeaseState::Broken) {
        let message = "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.";
        return Err(Refusal::new(409, "LeaseIsBrokenAndCannotBeRenewed", message));
    }
    lease.since = Instant::now();
    Ok(Answer::new(200).header("x-ms-lease-id", &lease.id))
}

fn change(request: &Request<'_>, blob: &mut Blob, state: LeaseState) -> Result<Answer, Refusal> {
    let proposed = request.call.find_header("x-ms-proposed-lease-id");
    let proposed = proposed.ok_or_else(|| Refusal::missing_header("x-ms-proposed-lease-id"))?.to_lowercase();
    if state != LeaseState::Leased {
        return Err(not_present());
    }
    // who has changed it already may do so again
    let is_changed = blob.lease.as_ref().is_some_and(|lease| lease.id == proposed);
    if !is_changed {
        its_lease(request, blob)?.id.clone_from(&proposed);
    }
    Ok(Answer::new(200).header("x-ms-lease-id", &proposed))
}

fn release(request: &Request<'_>, blob: &mut Blob) -> Result<Answer, Refusal> {
    its_lease(request, blob)?;
    blob.lease = None;
    Ok(Answer::new(200))
}

fn break_it(request: &Request<'_>, blob: &mut Blob, state: LeaseState) -> Result<Answer, Refusal> {
    let lease = blob.lease.as_deref_mut().ok_or_else(not_present)?;
    let period = match request.call.header("x-ms-lease-break-period") {
        "" => None,
        text => match text.parse() {
            Ok(seconds @ 0..=60) => Some(Duration::from_secs(seconds)),
            _ => return Err(Refusal::invalid_header("x-ms-lease-break-period")),
        },
    };
    let now = Instant::now();
    // one that lasts for ever breaks at once, others no later than they would have ended
    let left = lease.duration.map(|duration| (lease.since + duration).saturating_duration_since(now));
    let after = match (state, left) {
        (LeaseState::Leased, Some(left)) => period.map_or(left, |period| period.min(left)),
        (LeaseState::Leased, None) => period.unwrap_or_default(),
        (LeaseState::Breaking, _) => {
            let left = lease.broken_at.map(|at| at.saturating_duration_since(now)).unwrap_or_default();
            period.map_or(left, |period| period.min(left))
        }
        _ => Duration::ZERO,
    };
    lease.broken_at = Some(now + after);
    Ok(Answer::new(202).header("x-ms-lease-time", &after.as_secs().to_string()))
}
