//! Whole copies: Put Blob From URL, Copy Blob that is done when it answers, Copy Blob in the service's own time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::copy_source::{Source, verify_size};
use super::put::{md5_header, typed, written};
use super::{Request, conditions};
use crate::cloud::answer::Answer;
use crate::cloud::call::Target;
use crate::cloud::clock::now;
use crate::cloud::costs::CopyCost;
use crate::cloud::error::Refusal;
use crate::cloud::shared::Shared;
use crate::cloud::state::Account;
use crate::cloud::state::blob::{Blob, Copy, CopyStatus, Properties};
use crate::cloud::state::content::Content;

/// The largest source of a synchronous Copy Blob ("Copy Blob From URL", Azure Blob REST).
const SYNC_COPY_MAX_MIB: u64 = 256;
/// The largest source of Put Blob From URL, since version 2020-04-08.
const PUT_FROM_URL_MAX_MIB: u64 = 5000;

/// Put Blob From URL.
pub(super) async fn put_from_url(request: &Request<'_>) -> Result<Answer, Refusal> {
    let (call, costs) = (request.call, request.shared.costs());
    if costs.lacks_put_blob_from_url {
        // Azurite 3.37: no code, no body
        return Ok(Answer::new(500));
    }
    if call.header("x-ms-blob-type") != "BlockBlob" {
        return Err(Refusal::invalid_header("x-ms-blob-type"));
    }
    verify_target(request, false)?;
    let source = Source::find(request)?;
    verify_size(source.blob.content.size(), PUT_FROM_URL_MAX_MIB)?;
    Source::verify_md5(request, &source.blob.content)?;
    let mut blob = described(request, &source)?;
    // the request's headers, one by one before the source's, which come unless that is declined
    let (own, own_md5) = (call.properties(false), md5_header(call, "x-ms-blob-content-md5")?);
    if call.header("x-ms-copy-source-blob-properties").eq_ignore_ascii_case("false") {
        (blob.properties, blob.md5) = (typed(own), own_md5);
    } else {
        (blob.properties, blob.md5) = (overlaid(&source.blob.properties, own), own_md5.or(source.blob.md5));
    }
    spend(request, &source, blob.content.size(), costs.of_copy()).await;
    let blob = commit(request, &source.target, false, blob)?;
    Ok(written(201, &blob))
}

/// Copy Blob with `x-ms-requires-sync`.
pub(super) async fn sync_copy(request: &Request<'_>) -> Result<Answer, Refusal> {
    verify_target(request, true)?;
    let source = Source::find(request)?;
    verify_size(source.blob.content.size(), SYNC_COPY_MAX_MIB)?;
    Source::verify_md5(request, &source.blob.content)?;
    let mut blob = described(request, &source)?;
    blob.kind = source.blob.kind;
    let id = uuid::Uuid::new_v4().to_string();
    let copy = started(&id, &source);
    spend(request, &source, blob.content.size(), request.shared.costs().of_copy()).await;
    blob.copy = Some(copy.ended(CopyStatus::Success, now()));
    let blob = commit(request, &source.target, true, blob)?;
    Ok(written(202, &blob).header("x-ms-copy-id", &id).fixed("x-ms-copy-status", "success"))
}

/// Copy Blob. Its target has the source's size at once, and is readable when the copy is done.
pub(super) fn start(request: &Request<'_>) -> Result<Answer, Refusal> {
    verify_target(request, true)?;
    let source = Source::find(request)?;
    let mut blob = described(request, &source)?;
    (blob.kind, blob.blocks) = (source.blob.kind, source.blob.blocks.clone());
    let (id, cost) = (uuid::Uuid::new_v4().to_string(), request.shared.costs().of_async_copy());
    let copy = started(&id, &source);
    if cost.is_free() {
        blob.copy = Some(copy.ended(CopyStatus::Success, now()));
        let blob = commit(request, &source.target, true, blob)?;
        return Ok(written(202, &blob).header("x-ms-copy-id", &id).fixed("x-ms-copy-status", "success"));
    }
    let done = blob.clone();
    blob.copy = Some(Arc::clone(&copy));
    let target = &request.call.target;
    let pending = request.account.with(&target.container, |container| {
        conditions::verify_copy_target(request, container.blobs.get(target.blob.as_str()).map(AsRef::as_ref))?;
        Ok(container.replace(&target.blob, blob))
    })?;
    let (shared, account) = (Arc::clone(request.shared), Arc::clone(request.account));
    tokio::spawn(go_on(shared, account, target.clone(), source, copy, done, cost));
    Ok(written(202, &pending).header("x-ms-copy-id", &id).fixed("x-ms-copy-status", "pending"))
}

/// The service copies in its own time, and ends the copy unless somebody has taken its place.
async fn go_on(
    shared: Arc<Shared>,
    account: Arc<Account>,
    target: Target,
    source: Source,
    copy: Arc<Copy>,
    mut blob: Blob,
    cost: CopyCost,
) {
    let costs = shared.costs();
    let through = [
        (&source.account.egress, costs.account_egress_mib_per_second),
        (&account.ingress, costs.account_ingress_mib_per_second),
    ];
    cost.spend(copy.total, through, |done| copy.done.store(done, Ordering::Relaxed)).await;
    let committed = account.with(&target.container, |container| {
        let place = container.blob(&target.blob)?;
        let is_ours = place.is_pending() && place.copy.as_ref().is_some_and(|current| current.id == copy.id);
        if is_ours {
            let fails = shared.rules.fails(&target);
            let status = if fails { CopyStatus::Failed } else { CopyStatus::Success };
            if fails {
                empty(&mut blob);
            }
            shared.rules.damage(&target, &mut blob);
            (blob.stamp, blob.copy) = (shared.clock.stamp(), Some(copy.ended(status, now())));
            container.replace(&target.blob, blob);
        }
        Ok(is_ours)
    });
    if committed.is_ok_and(|is_ours| is_ours) {
        shared.count_copy(&source.target, copy.total);
    }
}

/// Abort Copy Blob: leaves a blob of no bytes.
pub(super) fn abort(request: &Request<'_>) -> Result<Answer, Refusal> {
    let (call, target) = (request.call, &request.call.target);
    if call.header("x-ms-copy-action") != "abort" {
        return Err(Refusal::missing_header("x-ms-copy-action"));
    }
    request.account.with(&target.container, |container| {
        let blob = container.blob(&target.blob)?;
        conditions::verify_lease(call, Some(blob))?;
        let message = "There is currently no pending copy operation.";
        let none = || Refusal::new(409, "NoPendingCopyOperation", message);
        let copy = blob.copy.as_ref().filter(|copy| copy.status == CopyStatus::Pending).ok_or_else(none)?;
        if copy.id != call.query.get("copyid") {
            let message = "The specified copy ID did not match the copy ID for the pending copy operation.";
            return Err(Refusal::new(409, "CopyIdMismatch", message));
        }
        let mut aborted = blob.as_ref().clone();
        empty(&mut aborted);
        aborted.copy = Some(copy.ended(CopyStatus::Aborted, now()));
        aborted.stamp = request.shared.clock.stamp();
        container.replace(&target.blob, aborted);
        Ok(Answer::new(204))
    })
}

/// What is left of a copy that ended badly.
fn empty(blob: &mut Blob) {
    (blob.content, blob.md5, blob.blocks) = (Content::empty(), None, None);
}

/// The target as it is before the copy: nobody should wait for what is refused in the end.
fn verify_target(request: &Request<'_>, is_copy_blob: bool) -> Result<(), Refusal> {
    let target = &request.call.target;
    request.account.with(&target.container, |container| {
        let blob = container.blobs.get(target.blob.as_str()).map(AsRef::as_ref);
        if is_copy_blob {
            conditions::verify_copy_target(request, blob)
        } else {
            conditions::verify_write(request, blob)
        }
    })
}

/// The source's content, headers and MD5 as a new blob; with its metadata too, unless the request names some.
fn described(request: &Request<'_>, source: &Source) -> Result<Blob, Refusal> {
    let own = request.call.metadata()?;
    let metadata = if own.is_empty() { Arc::clone(&source.blob.metadata) } else { own };
    let properties = Arc::clone(&source.blob.properties);
    let mut blob = Blob::new(source.blob.content.clone(), properties, metadata, request.shared.clock.stamp());
    blob.md5 = source.blob.md5;
    Ok(blob)
}

fn overlaid(source: &Arc<Properties>, own: Properties) -> Arc<Properties> {
    if own == Properties::default() {
        return Arc::clone(source);
    }
    let source = source.as_ref().clone();
    typed(Properties {
        content_type: own.content_type.or(source.content_type),
        cache_control: own.cache_control.or(source.cache_control),
        content_encoding: own.content_encoding.or(source.content_encoding),
        content_language: own.content_language.or(source.content_language),
        content_disposition: own.content_disposition.or(source.content_disposition),
    })
}

fn started(id: &str, source: &Source) -> Arc<Copy> {
    Arc::new(Copy {
        id: id.to_owned(),
        source: source.url.clone(),
        status: CopyStatus::Pending,
        done: AtomicU64::new(0),
        total: source.blob.content.size(),
        completed: None,
    })
}

/// Takes the time of a copy of `size` bytes.
pub(super) async fn spend(request: &Request<'_>, source: &Source, size: u64, cost: CopyCost) {
    let costs = request.shared.costs();
    let through = [
        (&source.account.egress, costs.account_egress_mib_per_second),
        (&request.account.ingress, costs.account_ingress_mib_per_second),
    ];
    cost.spend(size, through, |_| ()).await;
}

/// Puts the copy in its place, where nothing forbids it by now.
fn commit(request: &Request<'_>, source: &Target, is_copy_blob: bool, mut blob: Blob) -> Result<Arc<Blob>, Refusal> {
    verify_target(request, is_copy_blob)?;
    let target = &request.call.target;
    let size = blob.content.size();
    request.shared.rules.damage(target, &mut blob);
    blob.stamp = request.shared.clock.stamp();
    let blob = request.account.with(&target.container, |container| Ok(container.replace(&target.blob, blob)))?;
    request.shared.count_copy(source, size);
    Ok(blob)
}
