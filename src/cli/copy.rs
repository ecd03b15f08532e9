//! `copy`: containers from one site's storage to another's, without broker and media service.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::Exit;
use super::bar::with_bar;
use super::replicate::{LONGEST, SLICE, tell};
use crate::failure::Failure;
use crate::model::{Content, SiteName};
use crate::replication::{AllSites, Budget, Progress, Sites, copy_container};
use crate::settings::Settings;
use crate::worker::listen_for_signals;

/// What to copy.
#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The site to copy from
    #[arg(value_name = "SOURCE")]
    from: SiteName,
    /// The site to copy to
    #[arg(value_name = "REPLICA")]
    to: SiteName,
    /// Containers, one after the other; with a colon, the name at the replica where that is another one
    #[arg(value_name = "CONTAINER[:NAME]", required = true)]
    containers: Vec<String>,
    /// Print one line of JSON for each container
    #[arg(long)]
    json: bool,
}

/// Copies and verifies each container; the first one that fails ends it.
pub async fn copy(settings: &Settings, arguments: &CopyArguments) -> Exit {
    let pair = AllSites::connect(settings).and_then(|sites| sites.route(&arguments.from, &arguments.to));
    let pair = match pair {
        Ok(pair) => pair,
        Err(failure) => {
            tell(&failure);
            return Exit::BadSettings;
        }
    };
    let shutdown = match listen_for_signals() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            eprintln!("signals cannot be handled: {error}");
            return Exit::Failed;
        }
    };
    for names in &arguments.containers {
        let (from, to) = names.split_once(':').unwrap_or((names, names));
        let copied = tokio::select! {
            biased;
            () = shutdown.soft.cancelled() => {
                eprintln!("stopped: the same command goes on where this one was");
                return Exit::CutShort;
            }
            copied = copy_one(from, to, &pair, arguments.json) => copied,
        };
        if let Err(failure) = copied {
            tell(&failure);
            return Exit::Failed;
        }
    }
    Exit::Done
}

async fn copy_one(from: &str, to: &str, pair: &Sites, json: bool) -> Result<(), Failure> {
    let (progress, begun) = (Progress::default(), Instant::now());
    let budget = Budget::of(SLICE, Duration::MAX, LONGEST);
    let content = with_bar(&progress, pair, copy_container(from, to, pair, budget, &progress)).await?;
    print(from, to, &content, &progress, begun.elapsed(), json);
    Ok(())
}

fn print(from: &str, to: &str, content: &Content, progress: &Progress, took: Duration, json: bool) {
    let (count, seconds) = (progress.count(), took.as_secs_f64());
    let Content { files, bytes, .. } = content;
    if json {
        say!(
            "{}",
            json!({
                "container": from, "replicaContainer": to, "files": files, "bytes": bytes,
                "copiedFiles": count.copied_files, "copiedBytes": count.copied_bytes,
                "copySeconds": count.duration.as_secs_f64(), "seconds": seconds,
            })
        );
        return;
    }
    let (copied, size) = (count.copied_files, indicatif::HumanBytes(*bytes));
    say!("{from}: {files} files, {size}, equal at both sites; {copied} of them copied now, {seconds:.1} s");
}
