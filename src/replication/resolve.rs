//! A request becomes jobs: which assets, from which site, to which replicas; or nothing, when it is not for us.

use std::time::Duration;

use time::OffsetDateTime;

use super::packaged;
use super::sites::{AllSites, Site};
use crate::failure::Failure;
use crate::media_service::ams_v2::EncodingState;
use crate::model::{AssetMark, AssetRef, EncodingJobState, ReplicationJob, ReplicationRequest, Route, SiteName};

/// How soon to look again at an encoding job whose own state lags behind its notification (contract ams-v2, section 7).
const JOB_STATE_CHECK: Duration = Duration::from_secs(5);

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub enum Resolution {
    /// One or more jobs.
    Jobs(Vec<ReplicationJob>),
    /// Not for us.
    Ignored {
        /// A stable word for counting.
        reason: &'static str,
        /// For the log line.
        detail: String,
    },
}

/// Resolves a request that a worker first saw at `received_at` and tries for the `attempt`-th time.
///
/// # Errors
/// `Invalid` when it names sites that the settings do not have; `NeedsMoreTime` when its encoding job has not ended yet;
/// otherwise what the source's media service answers.
pub async fn resolve(
    request: &ReplicationRequest,
    received_at: OffsetDateTime,
    attempt: u32,
    all: &AllSites,
) -> Result<Resolution, Failure> {
    let route = find_route(request, all)?;
    let site = all.site(&route.source)?;
    let found = find_assets(request, site).await.map_err(|failure| failure.at_step("resolve").at_site(&site.name))?;
    let asset_ids = match found {
        Found::Assets(ids) => ids,
        Found::Ignored { reason, detail } => return Ok(Resolution::Ignored { reason, detail }),
    };
    Ok(Resolution::Jobs(jobs(request, &route, &asset_ids, received_at, attempt)))
}

/// The jobs that a request names by itself, without a look at its source: those whose earlier slices may have left
/// something, when the source cannot be asked.
#[must_use]
pub fn named_jobs(request: &ReplicationRequest, received_at: OffsetDateTime, all: &AllSites) -> Vec<ReplicationJob> {
    let Ok(route) = find_route(request, all) else { return Vec::new() };
    match &request.asset {
        AssetRef::Id(id) => jobs(request, &route, std::slice::from_ref(id), received_at, 1),
        AssetRef::Location(location) => jobs(request, &route, &[location.to_string()], received_at, 1),
        AssetRef::Name(_) | AssetRef::EncodingJob(_) => Vec::new(),
    }
}

/// The route of a request, without a look at its source; only its replica where it names one. `None` where the settings
/// have no such route.
#[must_use]
pub fn named_route(request: &ReplicationRequest, all: &AllSites) -> Option<Route> {
    find_route(request, all).ok()
}

fn jobs(
    request: &ReplicationRequest,
    route: &Route,
    asset_ids: &[String],
    received_at: OffsetDateTime,
    attempt: u32,
) -> Vec<ReplicationJob> {
    let job = |asset_id: &String, replica| ReplicationJob {
        request_id: request.id.clone(),
        asset_id: asset_id.clone(),
        source: route.source.clone(),
        replica,
        finished_at: request.finished_at,
        received_at,
        expected: request.expected,
        valid_until: request.valid_until,
        attempt,
        correlation: request.correlation.clone(),
        traceparent: request.traceparent.clone(),
    };
    let to_all = |asset_id| route.replicas.iter().map(move |replica| job(asset_id, replica.clone()));
    asset_ids.iter().flat_map(to_all).collect()
}

/// The route of a request: by its site, by the account that sent it, or the only one there is.
fn find_route(request: &ReplicationRequest, all: &AllSites) -> Result<Route, Failure> {
    let mut route = match (&request.site, &request.account) {
        (Some(site), _) => {
            let known = all.site(site)?;
            all.routes().iter().find(|route| route.source == known.name).ok_or_else(|| {
                Failure::invalid("no-route", format!("nothing is replicated from site '{site}': add [routes.{site}]"))
            })?
        }
        (None, Some(account)) => {
            let is_its = |route: &&Route| {
                all.site(&route.source).is_ok_and(|site| {
                    site.media.as_ref().is_some_and(|media| media.account().eq_ignore_ascii_case(account))
                })
            };
            let unknown = || {
                Failure::invalid("unknown-account", "no site with a route has the media service account that sent this")
            };
            all.routes().iter().find(is_its).ok_or_else(unknown)?
        }
        (None, None) => match all.routes() {
            [only] => only,
            _ => {
                return Err(Failure::invalid(
                    "no-site",
                    "message names no `site`, and the settings have not exactly one route",
                ));
            }
        },
    }
    .clone();
    if let Some(replica) = &request.replica {
        if !route.replicas.contains(replica) {
            let message = format!("nothing is replicated from site '{}' to site '{replica}'", route.source);
            return Err(Failure::invalid("no-route", message));
        }
        route.replicas = vec![replica.clone()];
    }
    Ok(route)
}

/// Which assets a request is about.
pub(super) enum Found {
    /// Their ids.
    Assets(Vec<String>),
    /// None for us.
    Ignored {
        /// A stable word for counting.
        reason: &'static str,
        /// For the log line.
        detail: String,
    },
}

async fn find_assets(request: &ReplicationRequest, site: &Site) -> Result<Found, Failure> {
    match &request.asset {
        AssetRef::Location(location) if site.media.is_none() => packaged::find_location(location, site).await,
        _ if site.media.is_none() => Err(Failure::permanent(
            "asset-reference-unsupported",
            "a site of kind static-origin knows assets by `asset.location` only",
        )
        .with_hint("send `asset.location` with `container` and, for a folder of it, `prefix`")),
        AssetRef::Id(id) => {
            let asset = site.media()?.find_asset(id).await?;
            // An asset that is gone is told about by the pipeline, with its hint.
            let mark = asset.and_then(|asset| asset.alternate_id).and_then(|text| AssetMark::parse(&text));
            let own = |mark: AssetMark| Found::own_replica(&mark.asset_id, &mark.source);
            Ok(mark.map_or_else(|| Found::Assets(vec![id.clone()]), own))
        }
        AssetRef::EncodingJob(id) => find_outputs(id, request.encoding_job_state, site).await,
        AssetRef::Name(_) | AssetRef::Location(_) => Err(Failure::permanent(
            "asset-reference-unsupported",
            "a site of kind ams-v2 knows assets by `asset.id` or `asset.job` only",
        )
        .with_hint("send `asset.id`; names and locations are for other kinds of sites")),
    }
}

impl Found {
    /// What we have made ourselves is never replicated further: two-way routes would never come to an end.
    pub(super) fn own_replica(asset: &str, source: &SiteName) -> Self {
        Self::Ignored { reason: "own-replica", detail: format!("is our own replica of {asset} at {source}") }
    }
}

async fn find_outputs(id: &str, said: Option<EncodingJobState>, site: &Site) -> Result<Found, Failure> {
    let job = site.media()?.encoding_job(id).await?;
    match (job.state, said) {
        (EncodingState::Error, _) | (_, Some(EncodingJobState::Error)) => {
            ended_badly("encoding-failed", id, &job.name, site).await
        }
        (EncodingState::Canceled, _) | (_, Some(EncodingJobState::Canceled)) => {
            ended_badly("encoding-canceled", id, &job.name, site).await
        }
        (EncodingState::Finished, _) => {
            let outputs = site.media()?.encoding_job_outputs(id).await?;
            let ours = |text: &String| AssetMark::parse(text).is_some();
            let ids: Vec<_> = outputs
                .into_iter()
                .filter(|asset| !asset.alternate_id.as_ref().is_some_and(ours))
                .map(|asset| asset.id)
                .collect();
            if ids.is_empty() {
                return Ok(Found::Ignored {
                    reason: "no-outputs",
                    detail: format!("encoding job {id} has no output assets"),
                });
            }
            Ok(Found::Assets(ids))
        }
        _ => Err(Failure::needs_more_time(
            "encoding-job-not-finished",
            format!("encoding job {id} is not finished yet"),
            JOB_STATE_CHECK,
        )),
    }
}

async fn ended_badly(reason: &'static str, id: &str, name: &str, site: &Site) -> Result<Found, Failure> {
    let errors = site.media()?.encoding_job_errors(id).await?;
    let errors = if errors.is_empty() { "no task says why".to_owned() } else { errors.join("; ") };
    Ok(Found::Ignored { reason, detail: format!("encoding job {id} '{name}': {errors}") })
}
