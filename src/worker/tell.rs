//! What a settled delivery leaves behind for operators: one line in the log, and its counts.

use std::time::Duration;

use time::OffsetDateTime;

use super::context::Context;
use super::job::{Ended, Product};
use crate::failure::{Failure, Settlement};
use crate::model::{Replicated, SiteName};
use crate::telemetry::{Part, WorkMetrics, traces};

/// Counts what became of a delivery, and ends its trace with that. `run` is none where it was cut off.
pub fn count(context: &Context, run: Option<&Ended>, settlement: Settlement) {
    let failure = run.and_then(|run| run.result.as_ref().err());
    let class = match (settlement, failure) {
        (Settlement::DeadLetter(class), _) => class.name(),
        (_, Some(failure)) => failure.kind.name(),
        (_, None) => "none",
    };
    WorkMetrics::settled(settlement.name(), class);
    traces::settled(settlement.name(), failure.map(|failure| failure.code));
    match (settlement, run.map(|run| &run.result)) {
        (Settlement::Complete, Some(Ok(Product::Replica(replica)))) => count_replica(replica),
        (Settlement::Ignore, Some(Ok(Product::Ignored { reason, .. }))) => WorkMetrics::ignored(reason),
        (Settlement::Retry { tier } | Settlement::Continue { tier: Some(tier) }, _) => {
            if let Some(delay) = context.tiers.get(tier) {
                WorkMetrics::retried(*delay);
            }
        }
        (Settlement::DeadLetter(class), Some(Err(failure))) => WorkMetrics::dead_letter(class.name(), failure.code),
        (Settlement::Park, Some(Err(failure))) => WorkMetrics::dead_letter("invalid", failure.code),
        _ => {}
    }
}

fn count_replica(replica: &Replicated) {
    let since =
        |finished: OffsetDateTime, until: OffsetDateTime| Duration::try_from(until - finished).unwrap_or_default();
    let finished = replica.timing.finished_at;
    let lag = finished.map(|finished| since(finished, OffsetDateTime::now_utc()));
    let (source, site) = (replica.source.name.as_str(), replica.replica.name.as_str());
    WorkMetrics::replicated(source, site, replica.verification.level(), lag);
    if let Some(finished) = finished {
        WorkMetrics::took(Part::QueueWait, since(finished, replica.timing.received_at));
    }
}

/// The one line that a message leaves in the log.
pub fn log(context: &Context, run: &Ended, settlement: Settlement) {
    match &run.result {
        Ok(Product::Replica(replica)) => log_replica(replica),
        Ok(Product::Split(jobs)) => {
            tracing::info!(jobs = jobs.len(), "split into one message for each asset and replica");
        }
        Ok(Product::Ignored { reason, detail }) => tracing::info!(reason, detail, "ignored"),
        // An outage is told when it begins and when it ends, not by each message that waits for its end.
        Err(failure) if run.put_off && !matches!(settlement, Settlement::DeadLetter(_)) => {
            tracing::debug!(code = failure.code, step = failure.step, error = %failure, "put off");
        }
        Err(failure) => log_failure(context, failure, settlement),
    }
}

fn log_failure(context: &Context, failure: &Failure, settlement: Settlement) {
    let (code, kind, step, hint) = (failure.code, failure.kind.name(), failure.step, failure.hint.as_deref());
    let site = failure.site.as_ref().map(SiteName::as_str);
    match settlement {
        Settlement::DeadLetter(class) => {
            tracing::error!(code, class = class.name(), step, site, error = %failure, hint, "dead letter");
        }
        Settlement::Park => tracing::error!(code, error = %failure, hint, "parked: the message is unusable"),
        Settlement::Retry { tier } | Settlement::Continue { tier: Some(tier) } => {
            let after = context.topology.retry_key(tier);
            tracing::warn!(code, kind, step, site, error = %failure, hint, after, "will be tried again");
        }
        _ => tracing::info!(code, kind, step, site, error = %failure, hint, "goes on at once"),
    }
}

fn log_replica(replica: &Replicated) {
    tracing::info!(
        asset = replica.asset_id,
        name = replica.asset_name,
        source = %replica.source.name,
        replica = %replica.replica.name,
        replica_asset = replica.replica_asset_id,
        locator = replica.locator_id.map(tracing::field::display),
        files = replica.content.files,
        bytes = replica.content.bytes,
        copied_files = replica.copy.copied_files,
        copy_ms = replica.copy.duration.as_millis(),
        "replicated"
    );
}
