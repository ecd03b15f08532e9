//! `replicate`: one asset now, without a broker, with a progress bar.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::bar::with_bar;
use crate::events::encode_replicated;
use crate::failure::{Failure, FailureKind};
use crate::model::{AssetRef, CopyCount, Location, Replicated, ReplicationJob, ReplicationRequest, SiteName};
use crate::replication::{
    AllSites, Budget, Progress, Resolution, Sites, give_back, replicate as run_pipeline, resolve,
};
use crate::settings::Settings;
use crate::worker::listen_for_signals;

/// Nobody waits for a turn here, but SAS locators end at some time: a slice begins with fresh ones.
pub(super) const SLICE: Duration = Duration::from_secs(6 * 3600);
/// What still runs after two of them hangs.
pub(super) const LONGEST: Duration = Duration::from_secs(2 * 6 * 3600 + 60);
/// How long it may take to give back what an interrupted job held.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What to replicate.
#[derive(Debug, Args)]
pub struct ReplicateArguments {
    /// The asset at the source: its id (nb:cid:UUID:...), or of packaged streams the container or container/folder/
    #[arg(long)]
    asset: String,
    /// The site it was encoded at; may be left out where the settings have exactly one route
    #[arg(long, value_name = "SITE")]
    from: Option<SiteName>,
    /// The site that receives the replica; by default all that the route names
    #[arg(long, value_name = "SITE")]
    to: Option<SiteName>,
    /// Print the event as JSON instead of the URLs
    #[arg(long)]
    json: bool,
}

/// Replicates one asset to one or all of its replica sites; a site that fails keeps none of the others from its replica.
pub async fn replicate(settings: &Settings, arguments: &ReplicateArguments) -> Exit {
    let sites = match AllSites::connect(settings) {
        Ok(sites) => sites,
        Err(failure) => {
            tell(&failure);
            return Exit::BadSettings;
        }
    };
    let jobs = match find_jobs(arguments, &sites).await {
        Ok(Resolution::Jobs(jobs)) => jobs,
        Ok(Resolution::Ignored { reason, detail }) => {
            eprintln!("nothing to do ({reason}): {detail}");
            return Exit::Done;
        }
        Err(failure) => {
            tell(&failure);
            // Unusable here means that the arguments are.
            return if failure.kind == FailureKind::Invalid { Exit::BadSettings } else { Exit::Failed };
        }
    };
    match replicate_all(jobs, &sites, settings, arguments.json).await {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("signals cannot be handled: {error}");
            Exit::Failed
        }
    }
}

/// One job after the other, until a signal.
async fn replicate_all(
    jobs: Vec<ReplicationJob>,
    sites: &AllSites,
    settings: &Settings,
    json: bool,
) -> std::io::Result<Exit> {
    let shutdown = listen_for_signals()?;
    let mut exit = Exit::Done;
    for job in jobs {
        let pair = match sites.pair(&job) {
            Ok(pair) => pair,
            Err(failure) => {
                tell(&failure);
                exit = Exit::Failed;
                continue;
            }
        };
        let result = tokio::select! {
            biased;
            () = shutdown.soft.cancelled() => None,
            result = replicate_job(&job, &pair, settings) => Some(result),
        };
        match result {
            Some(Ok(replicated)) => print(&replicated, settings, json),
            Some(Err(failure)) => {
                tell(&failure);
                exit = Exit::Failed;
            }
            None => {
                eprintln!("stopped: the same command goes on where this one was");
                tokio::select! { () = give_back(&job, &pair) => {}, () = shutdown.hard.cancelled() => {} }
                exit = Exit::CutShort;
                break;
            }
        }
    }
    tokio::select! { () = sites.close(CLOSE_PATIENCE) => {}, () = shutdown.hard.cancelled() => {} }
    Ok(exit)
}

pub(super) fn tell(failure: &Failure) {
    eprintln!("failed ({}, {}): {failure}", failure.kind.name(), failure.code);
    let place = [failure.step, failure.site.as_ref().map(SiteName::as_str)];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join(" at ");
    if !place.is_empty() {
        eprintln!("  where: {place}");
    }
    if let Some(hint) = &failure.hint {
        eprintln!("  hint:  {hint}");
    }
    if failure.is_transient() {
        eprintln!("  hint:  this may pass: run the same command again, it goes on where it stopped");
    }
}

async fn find_jobs(arguments: &ReplicateArguments, sites: &AllSites) -> Result<Resolution, Failure> {
    let request = ReplicationRequest {
        id: arguments.asset.clone(),
        site: arguments.from.clone(),
        account: None,
        asset: asset_of(&arguments.asset)?,
        encoding_job_state: None,
        finished_at: None,
        expected: None,
        valid_until: None,
        replica: arguments.to.clone(),
        correlation: BTreeMap::new(),
        traceparent: None,
    };
    resolve(&request, OffsetDateTime::now_utc(), 1, sites).await
}

fn asset_of(text: &str) -> Result<AssetRef, Failure> {
    match Location::parse(text) {
        Some(location) => Ok(AssetRef::Location(location)),
        None => crate::events::parse_asset_id(text).map(AssetRef::Id).map_err(|_| {
            let problem = "is neither nb:cid:UUID: and a GUID nor a container or container/folder/";
            Failure::invalid("wrong-asset-id", format!("--asset {problem}"))
        }),
    }
}

/// Runs one job; what is not ready yet is waited for, as the queue would.
async fn replicate_job(job: &ReplicationJob, pair: &Sites, settings: &Settings) -> Result<Replicated, Failure> {
    let (started, deadline) = (Instant::now(), Duration::from_secs(settings.worker.job_deadline_seconds));
    let mut earlier = CopyCount::default();
    loop {
        let progress = Progress::after(earlier);
        let budget = Budget::of(SLICE, deadline.saturating_sub(started.elapsed()), LONGEST);
        let failure = match with_bar(&progress, pair, run_pipeline(job, pair, budget, &progress)).await {
            Ok(replicated) => return Ok(Replicated { copy: replicated.copy.after(earlier), ..replicated }),
            Err(failure) => failure,
        };
        earlier = progress.count().after(earlier);
        match failure.kind {
            FailureKind::NeedsMoreTime { check_after } if started.elapsed() + check_after < deadline => {
                eprintln!("not ready, looking again in {} s: {failure}", check_after.as_secs());
                tokio::time::sleep(check_after).await;
            }
            _ => return Err(failure),
        }
    }
}

fn print(replicated: &Replicated, settings: &Settings, json: bool) {
    if json {
        let event = encode_replicated(replicated, &settings.replication.probe_path, OffsetDateTime::now_utc());
        say!("{}", String::from_utf8_lossy(&event.body));
        return;
    }
    if let Some(url) = replicated.urls.urls.first() {
        say!("{:<8} {}", replicated.source.name, url.source);
        say!("{:<8} {}", replicated.replica.name, url.replica);
    }
}
