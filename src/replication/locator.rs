//! The two locators: the source's, made where there is none, and its twin at the replica with the same id and validity.

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::files::RegisteredFiles;
use super::sites::{Site, Sites};
use super::source::SourceAsset;
use crate::failure::Failure;
use crate::model::{AssetMark, LocatorId, ReplicationJob, StreamingLocator};

/// A locator that ends sooner than this is not worth replicating; a new one is made.
const SHORTEST_VALIDITY: Duration = Duration::minutes(1);

/// Does: finds the asset's newest unexpired streaming locator, or makes one where the setting allows it.
/// Safe to repeat because: the id of a locator we make is derived from the asset and the end that the message gives it, so a
/// second try finds the first one's, and puts its end right where the first was stopped before that.
/// Fails as: `Permanent` when there is none and none may be made.
pub async fn ensure_source_locator(
    job: &ReplicationJob,
    source: &SourceAsset,
    sites: &Sites,
) -> Result<StreamingLocator, Failure> {
    let site = &sites.source;
    let now = OffsetDateTime::now_utc();
    let id = own_id(&source.asset.id, job.valid_until);
    // Until its end is set, a locator lasts as long as its policy: one of ours that does was never finished.
    let is_unfinished =
        |found: &StreamingLocator| found.id == id && job.valid_until.is_some_and(|until| found.expires > until);
    let found = newest_unexpired(site.media()?.list_locators(&source.asset.id).await?, now);
    let begun = match found {
        Some(found) if !is_unfinished(&found) => return Ok(found),
        Some(unfinished) => unfinished.start,
        None => None,
    };
    if !sites.settings.create_source_locator {
        return Err(Failure::permanent(
            "source-not-published",
            "asset has no unexpired streaming locator at the source",
        )
        .with_hint("publish the asset at the source, or set replication.create_source_locator = true, and replay")
        .at_site(&site.name));
    }
    let start = begun.unwrap_or_else(|| now - Duration::minutes(i64::from(sites.settings.locator_start_minutes_ago)));
    let until = job.valid_until.unwrap_or(start + Duration::days(i64::from(sites.settings.locator_days)));
    if until < now + SHORTEST_VALIDITY {
        return Err(Failure::permanent("validity-over", "the message's `validUntil` has passed")
            .with_hint("discard this message: the asset was not to be streamed any longer")
            .at_site(&site.name));
    }
    site.media()?.ensure_locator(id, &source.asset.id, Some(start), until, None).await
}

/// The id of a source locator that we make.
fn own_id(asset_id: &str, valid_until: Option<OffsetDateTime>) -> LocatorId {
    let name =
        valid_until.map_or_else(|| asset_id.to_owned(), |until| format!("{asset_id} {}", until.unix_timestamp()));
    LocatorId(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
}

/// The one that was started last and still lasts; one that has not begun yet only when no other is left.
fn newest_unexpired(locators: Vec<StreamingLocator>, now: OffsetDateTime) -> Option<StreamingLocator> {
    let lasting = locators.into_iter().filter(|locator| locator.expires > now + SHORTEST_VALIDITY);
    lasting.max_by_key(|locator| (locator.start.is_none_or(|start| start <= now), locator.start, locator.expires))
}

/// Does: publishes the replica under the same locator id, with the same start, expiry and name.
/// Safe to repeat because: it looks by id first; a conflict is resolved by looking again. Where another worker made a
/// second replica and has published it, ours goes.
/// Fails as: `Permanent` when another asset, or another account of the same data centre, holds the id; `Transient` when ours
/// gave way.
pub async fn ensure_replica_locator(
    mark: &AssetMark,
    files: &RegisteredFiles,
    source: &StreamingLocator,
    replica: &Site,
) -> Result<StreamingLocator, Failure> {
    let name = source.name.as_deref();
    match replica.media()?.ensure_locator(source.id, files.asset_id(), source.start, source.expires, name).await {
        Err(taken) if taken.code == "locator-taken" => {
            let lost = replica.media()?.yield_to_published(mark, files.asset_id(), source.id).await?;
            Err(lost.unwrap_or(taken))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(number: u128, start_minutes: Option<i64>, expires_minutes: i64) -> StreamingLocator {
        let at = |minutes| OffsetDateTime::UNIX_EPOCH + Duration::days(365) + Duration::minutes(minutes);
        StreamingLocator {
            id: LocatorId(Uuid::from_u128(number)),
            asset_id: "a".into(),
            start: start_minutes.map(at),
            expires: at(expires_minutes),
            path: String::new(),
            name: None,
        }
    }

    #[test]
    fn the_newest_that_still_lasts_and_has_begun_is_taken() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(365);
        let chosen = |locators: &[StreamingLocator]| {
            newest_unexpired(locators.to_vec(), now).map(|locator| locator.id.0.as_u128())
        };
        let (expired, old, new, future) =
            (locator(1, Some(-9), 0), locator(2, Some(-8), 90), locator(3, Some(-7), 60), locator(4, Some(5), 99));
        assert_eq!(chosen(&[expired.clone(), old, new, future.clone()]), Some(3));
        assert_eq!(chosen(&[expired.clone(), future]), Some(4));
        assert_eq!(chosen(&[expired.clone(), locator(5, None, 5)]), Some(5));
        assert_eq!(chosen(&[expired]), None);
    }
}
