//! The copy benchmark: the same containers with our copy engine, azcopy, rclone and the simplest loops, side by side.

mod bound;
mod chart;
mod cloud;
mod contestant;
mod large;
mod machine;
mod meter;
mod model_process;
mod ours;
mod peers;
mod programs;
mod repeat;
mod rounds;
mod table;
mod throttled;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use machine::Machine;
use programs::Programs;
use rounds::Compared;
use workload::Workload;

pub use contestant::Tool;
pub use peers::{PeerTask, run_peer};
pub use workload::WORKLOADS;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names out of [`WORKLOADS`].
    pub workloads: Vec<String>,
    /// In this order, in every round.
    pub tools: Vec<Tool>,
    /// Rounds; medians count.
    pub rounds: usize,
    /// Small workloads, to try it out.
    pub is_small: bool,
    /// A tool that needs longer than this runs in one round only.
    pub patience: Duration,
    /// Our program; by default the one beside this one.
    pub worker: Option<PathBuf>,
    /// Memory with very many blobs.
    pub large: bool,
    /// A storage that refuses what is too much.
    pub throttled: bool,
    /// The second run on the same containers.
    pub repeat: bool,
    /// Takes all figures as JSON.
    pub output: Option<PathBuf>,
    /// Takes the chart as SVG.
    pub chart: Option<PathBuf>,
}

/// All figures, as they are written to the output file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    machine: Machine,
    is_small: bool,
    workloads: Vec<Compared>,
    large: Vec<large::Large>,
    throttled: Vec<throttled::Throttled>,
    repeat: Vec<repeat::Run>,
}

impl Report {
    fn write(&self, plan: &Plan) -> Result<()> {
        if let Some(path) = &plan.output {
            std::fs::write(path, serde_json::to_vec_pretty(self)?).context("cannot write the output file")?;
        }
        if let (Some(path), false) = (&plan.chart, self.workloads.is_empty()) {
            let picture = chart::draw(&self.workloads, &self.machine.describe());
            std::fs::write(path, picture).context("cannot write the chart")?;
        }
        Ok(())
    }
}

/// Runs what the plan says, and prints tables. What has been measured is written after each workload.
///
/// # Errors
/// When one of our programs is missing, a storage does not work, or a file cannot be written.
pub async fn measure(plan: &Plan) -> Result<()> {
    let programs = Programs::find(plan.worker.as_deref())?;
    let peers = [&programs.azcopy, &programs.rclone].into_iter().flatten().map(|peer| peer.name.clone()).collect();
    let machine = Machine::here(peers);
    say(&machine.describe());
    let is_small = plan.is_small;
    let mut report = Report { machine, is_small, workloads: vec![], large: vec![], throttled: vec![], repeat: vec![] };
    for name in &plan.workloads {
        let workload = Workload::find(name, plan.is_small);
        let workload = workload.with_context(|| format!("no workload {name}: {}", WORKLOADS.join(", ")))?;
        report.workloads.push(rounds::compare(plan, &workload, &programs).await?);
        report.write(plan)?;
    }
    if !report.workloads.is_empty() {
        say(&format!("\n{}", table::write(&report.workloads)));
    }
    let mut failed = report.workloads.iter().flat_map(|one| &one.rows).filter(|row| row.failed.is_some()).count();
    if plan.large {
        report.large = kept(large::measure(&programs, is_small).await, &mut failed);
        report.write(plan)?;
    }
    if plan.throttled {
        report.throttled = kept(throttled::measure(&programs, is_small).await, &mut failed);
        report.write(plan)?;
    }
    if plan.repeat {
        report.repeat = kept(repeat::measure(&programs, is_small).await, &mut failed);
    }
    report.write(plan)?;
    ensure!(failed == 0, "{failed} measurements have failed: see above");
    Ok(())
}

/// What one measurement gives; where it fails, the others go on.
fn kept<T>(measured: Result<Vec<T>>, failed: &mut usize) -> Vec<T> {
    measured.unwrap_or_else(|error| {
        note(&format!("failed: {error:#}"));
        *failed += 1;
        Vec::new()
    })
}

#[expect(clippy::print_stdout, reason = "the tables are what the command is for")]
fn say(text: &str) {
    println!("{text}");
}

/// How far it is, beside the tables.
#[expect(clippy::print_stderr, reason = "progress of a long command")]
fn note(text: &str) {
    eprintln!("{text}");
}
