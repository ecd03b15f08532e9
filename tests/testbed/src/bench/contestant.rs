//! Who copies: ours cold and warm, azcopy, rclone, the walkthrough's loop, and the ceiling.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use super::cloud::{Cloud, Pair, Signed};
use super::meter::{self, Metered};
use super::ours;
use super::peers::PeerReport;
use super::programs::{Peer, Programs};
use super::workload::Kind;

/// rclone's transfers and checkers at once: its default of 4 is far slower.
const RCLONE_TRANSFERS: &str = "32";
/// azcopy copies small blobs with Put Blob From URL alone, which Azurite lacks; more than one block each is what it can do.
const AZURITE_BLOCKS: [&str; 2] = ["--block-size-mb=0.03125", "--put-blob-size-mb=0.03125"];
/// Small files of the walkthrough's loop where each takes seconds.
const SAMPLE: &str = "8";
/// What takes longer has failed.
const LIMIT: Duration = Duration::from_secs(1800);
/// Source containers with the same files: the second one is for the warm run and for the ceiling.
pub(super) const SOURCES: [&str; 2] = ["source-a", "source-b"];

/// What `--tools` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    /// stream-replicator, a process's first container (cold) and its second (warm)
    Ours,
    /// azcopy, server to server
    Azcopy,
    /// rclone, server-side copies
    Rclone,
    /// One file after the other, as the old walkthrough did it
    Walkthrough,
    /// Plain copies in parallel, with everything known before (Azurite only)
    Ceiling,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) enum Contestant {
    Cold,
    Warm,
    Azcopy(Peer),
    Rclone(Peer),
    Walkthrough,
    Ceiling,
}

/// What one run of it took.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    pub(super) wall_seconds: f64,
    /// From the process's start to its end.
    pub(super) process_seconds: f64,
    /// Of the whole process: `None` where that did something else too.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) peak_rss_mib: f64,
    /// Share of one processor that the storage used meanwhile.
    pub(super) cloud_cpu_share: f64,
    /// All requests, as the model counts them.
    pub(super) requests: Option<u64>,
    /// The most copies at the same time.
    pub(super) max_copies: Option<u64>,
    /// The part of ours that was copying.
    pub(super) copy_seconds: Option<f64>,
    /// Files that were really copied, where the rest was reckoned.
    pub(super) copied_only: Option<u64>,
}

impl Contestant {
    /// The rows of these tools, of those that are installed.
    pub(super) fn all(tools: &[Tool], kind: Kind, programs: &Programs) -> Vec<Self> {
        let mut rows = Vec::new();
        for tool in tools {
            match tool {
                Tool::Ours => rows.extend([Self::Cold, Self::Warm]),
                Tool::Azcopy => rows.extend(programs.azcopy.clone().map(Self::Azcopy)),
                Tool::Rclone => rows.extend(programs.rclone.clone().map(Self::Rclone)),
                Tool::Walkthrough => rows.push(Self::Walkthrough),
                Tool::Ceiling => rows.extend((kind == Kind::Azurite).then_some(Self::Ceiling)),
            }
        }
        rows
    }

    pub(super) fn name(&self, kind: Kind) -> String {
        match self {
            Self::Cold => "ours, cold".to_owned(),
            Self::Warm => "ours, warm".to_owned(),
            Self::Azcopy(peer) if kind == Kind::Azurite => format!("{}, blocks", peer.name),
            Self::Azcopy(peer) | Self::Rclone(peer) => peer.name.clone(),
            Self::Walkthrough => "walkthrough's loop".to_owned(),
            Self::Ceiling => "32 plain copies".to_owned(),
        }
    }

    /// Without blanks, for containers.
    fn short(&self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Azcopy(_) => "azcopy",
            Self::Rclone(_) => "rclone",
            Self::Walkthrough => "walkthrough",
            Self::Ceiling => "ceiling",
        }
    }

    /// How many it copies, one after the other; the last one counts. Azurite becomes slower with each blob that it holds, so
    /// that the ceiling of a process's second container is that of a second one too.
    fn containers(&self) -> usize {
        if matches!(self, Self::Warm | Self::Ceiling) { 2 } else { 1 }
    }

    /// Copies once, into fresh containers, and looks whether the replica is right.
    ///
    /// # Errors
    /// When the tool fails, or leaves a replica that is not its source.
    pub(super) async fn run(&self, round: usize, cloud: &Cloud, kind: Kind, programs: &Programs) -> Result<Sample> {
        let mut pairs = Vec::new();
        for source in SOURCES.iter().take(self.containers()) {
            pairs.push(cloud.fresh(source, &format!("{source}-{}-{round}", self.short())).await?);
        }
        cloud.reset_counters().await?;
        let mut sample = self.copy(&pairs, cloud, kind, programs).await?;
        if let Some(counters) = cloud.counters().await? {
            sample.max_copies = Some(counters.max_copies_in_flight);
            sample.requests = (pairs.len() == 1).then(|| counters.requests());
        }
        for pair in &pairs {
            cloud.check(pair, sample.copied_only).await?;
            cloud.forget(pair).await?;
        }
        Ok(sample)
    }

    async fn copy(&self, pairs: &[Pair], cloud: &Cloud, kind: Kind, programs: &Programs) -> Result<Sample> {
        let (last, before) = pairs.split_last().context("nothing to copy")?;
        if matches!(self, Self::Cold | Self::Warm) {
            let cpu_before = cloud.cpu_seconds()?;
            let run = ours::copy(&programs.worker, cloud.endpoint(), pairs, LIMIT).await?;
            let last = run.copied.last().context("nothing copied")?;
            let mut sample = Sample::of(&run.metered, cloud.cpu_seconds()? - cpu_before);
            sample.copy_seconds = last.copy_seconds;
            if matches!(self, Self::Warm) {
                (sample.wall_seconds, sample.cpu_seconds) = (last.seconds, None);
            }
            return Ok(sample);
        }
        for pair in before {
            self.peer_copies(pair, cloud, kind, programs).await?;
        }
        self.peer_copies(last, cloud, kind, programs).await
    }

    async fn peer_copies(&self, pair: &Pair, cloud: &Cloud, kind: Kind, programs: &Programs) -> Result<Sample> {
        let cpu_before = cloud.cpu_seconds()?;
        let folder = tempfile::tempdir()?;
        let signed = cloud.sign(pair)?;
        let mut command = match self {
            Self::Azcopy(peer) => azcopy(peer, &signed, kind, folder.path()),
            Self::Rclone(peer) => rclone(peer, &signed),
            _ => self.own_loop(pair, cloud, kind, programs),
        };
        command.env("HOME", folder.path()).current_dir(folder.path());
        let measured = move || meter::run(command, LIMIT, folder.path()).with_context(|| logged_error(folder.path()));
        let metered = tokio::task::spawn_blocking(measured).await??;
        let mut sample = Sample::of(&metered, cloud.cpu_seconds()? - cpu_before);
        if matches!(self, Self::Walkthrough | Self::Ceiling) {
            let report: PeerReport = serde_json::from_str(&metered.stdout).context("its report is odd")?;
            sample.wall_seconds = report.seconds;
            if report.copied < report.files {
                (sample.copied_only, sample.cpu_seconds) = (Some(report.copied), None);
            }
        }
        Ok(sample)
    }

    /// This program, started as one of the simple ways to copy.
    fn own_loop(&self, pair: &Pair, cloud: &Cloud, kind: Kind, programs: &Programs) -> Command {
        let mut command = Command::new(&programs.bench);
        command.env_clear().arg(self.short()).arg(cloud.endpoint().as_str()).args([&pair.source, &pair.replica]);
        // Azurite's copies are done at once
        if matches!(self, Self::Walkthrough) && kind == Kind::Model {
            command.args(["--sample", SAMPLE]);
        }
        command
    }
}

impl Sample {
    fn of(metered: &Metered, cloud_cpu_seconds: f64) -> Self {
        Self {
            wall_seconds: metered.wall.as_secs_f64(),
            process_seconds: metered.wall.as_secs_f64(),
            cpu_seconds: Some(metered.cpu_seconds),
            peak_rss_mib: metered.peak_rss_mib,
            cloud_cpu_share: cloud_cpu_seconds / metered.wall.as_secs_f64(),
            requests: None,
            max_copies: None,
            copy_seconds: None,
            copied_only: None,
        }
    }
}

/// Its own logs and plans below `folder`. `--as-subdir=false`: the container's content, not the container.
fn azcopy(peer: &Peer, signed: &Signed, kind: Kind, folder: &Path) -> Command {
    let mut command = Command::new(&peer.path);
    command.env_clear().env("AZCOPY_LOG_LOCATION", folder).env("AZCOPY_JOB_PLAN_LOCATION", folder);
    command.env("AZCOPY_DISABLE_SYSLOG", "true");
    command.args(["copy", signed.source.as_str(), signed.replica.as_str(), "--from-to=BlobBlob", "--recursive"]);
    command.args(["--as-subdir=false", "--log-level=ERROR", "--output-level=essential", "--skip-version-check"]);
    // neither the model nor Azurite has tiers
    command.arg("--s2s-preserve-access-tier=false");
    if kind == Kind::Azurite {
        command.args(AZURITE_BLOCKS);
    }
    command
}

/// The first error in a tool's own log, for its output does not tell.
fn logged_error(folder: &Path) -> String {
    let logs = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let mut errors = logs.filter_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.lines().find(|line| line.contains("ERR"))?.to_owned())
    });
    errors.next().unwrap_or_else(|| "it has logged no error".to_owned())
}

/// Both containers as remotes out of the environment, so that there is no settings file.
fn rclone(peer: &Peer, signed: &Signed) -> Command {
    let mut command = Command::new(&peer.path);
    command.env_clear().env("RCLONE_CONFIG", "/dev/null");
    for (remote, url) in [("SOURCE", &signed.source), ("REPLICA", &signed.replica)] {
        command.env(format!("RCLONE_CONFIG_{remote}_TYPE"), "azureblob");
        command.env(format!("RCLONE_CONFIG_{remote}_SAS_URL"), url.as_str());
    }
    let container = |url: &url::Url| url.path().rsplit('/').next().unwrap_or_default().to_owned();
    command.arg("copy").arg(format!("source:{}", container(&signed.source)));
    command.arg(format!("replica:{}", container(&signed.replica)));
    command.args(["--server-side-across-configs", "--transfers", RCLONE_TRANSFERS, "--checkers", RCLONE_TRANSFERS]);
    command
}
