//! `replicate`: one asset now, without a broker, with a progress bar.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use time::OffsetDateTime;

use super::Exit;
use crate::events::encode_replicated;
use crate::failure::{Failure, FailureKind};
use crate::model::{AssetRef, Replicated, ReplicationRequest, SiteName};
use crate::replication::{AllSites, Progress, Resolution, replicate as run_pipeline, resolve};
use crate::settings::Settings;

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// What to replicate.
#[derive(Debug, Args)]
pub struct ReplicateArguments {
    /// The asset's id at the source (nb:cid:UUID:...)
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

/// Replicates one asset to one or all of its replica sites.
pub async fn replicate(settings: &Settings, arguments: &ReplicateArguments) -> Exit {
    match replicate_all(settings, arguments).await {
        Ok(()) => Exit::Done,
        Err(failure) => {
            let place = [failure.step, failure.site.as_ref().map(SiteName::as_str)];
            let place = place.into_iter().flatten().collect::<Vec<_>>().join(" at ");
            eprintln!("failed ({}, {}): {failure}", failure.kind.name(), failure.code);
            if !place.is_empty() {
                eprintln!("  where: {place}");
            }
            if let Some(hint) = &failure.hint {
                eprintln!("  hint:  {hint}");
            }
            // Unusable here means that the arguments are.
            if failure.kind == FailureKind::Invalid { Exit::BadSettings } else { Exit::Failed }
        }
    }
}

async fn replicate_all(settings: &Settings, arguments: &ReplicateArguments) -> Result<(), Failure> {
    let sites = AllSites::connect(settings)?;
    let now = OffsetDateTime::now_utc();
    let request = ReplicationRequest {
        id: arguments.asset.clone(),
        site: arguments.from.clone(),
        account: None,
        asset: AssetRef::Id(crate::events::parse_asset_id(&arguments.asset)?),
        encoding_job_state: None,
        finished_at: None,
        expected: None,
        valid_until: None,
        replica: arguments.to.clone(),
        correlation: BTreeMap::new(),
        traceparent: None,
    };
    let jobs = match resolve(&request, now, 1, &sites).await? {
        Resolution::Jobs(jobs) => jobs,
        Resolution::Ignored { reason, detail } => {
            eprintln!("nothing to do ({reason}): {detail}");
            return Ok(());
        }
    };
    for job in jobs {
        let pair = sites.pair(&job)?;
        let progress = Progress::default();
        let replicated = with_bar(&progress, run_pipeline(&job, &pair, &progress)).await?;
        print(&replicated, settings, arguments.json);
    }
    Ok(())
}

fn print(replicated: &Replicated, settings: &Settings, json: bool) {
    if json {
        let event = encode_replicated(replicated, &settings.replication.probe_path, OffsetDateTime::now_utc());
        println!("{}", String::from_utf8_lossy(&event.body));
        return;
    }
    if let Some(url) = replicated.urls.urls.first() {
        println!("{:<8} {}", replicated.source.name, url.source);
        println!("{:<8} {}", replicated.replica.name, url.replica);
    }
}

/// Draws a bar on standard error while `work` runs, where that is a terminal.
async fn with_bar<T>(progress: &Progress, work: impl Future<Output = T>) -> T {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let template = "{bar:30} {msg} files  {bytes}/{total_bytes}  {bytes_per_sec}  ETA {eta}";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            result = &mut work => {
                bar.finish_and_clear();
                return result;
            }
            _ = ticks.tick() => {
                let now = progress.snapshot();
                bar.set_length(now.bytes_total);
                bar.set_position(now.bytes_done);
                bar.set_message(format!("{}/{}", now.files_done, now.files_total));
            }
        }
    }
}
