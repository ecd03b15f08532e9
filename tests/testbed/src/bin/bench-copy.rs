//! `bench-copy`: our copy engine beside azcopy, rclone and the simplest loops, on the cloud model and on Azurite.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use testbed::bench::{PeerTask, Plan, Tool, WORKLOADS, measure, run_peer};

/// Copy the same containers with every tool that is installed, in turn, and print one table. deploy/bench.sh installs them.
#[derive(Parser)]
#[command(name = "bench-copy", args_conflicts_with_subcommands = true)]
struct Arguments {
    /// What to copy; all by default, unless one of --large, --throttled and --repeat is given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = WORKLOADS)]
    workload: Option<Vec<String>>,
    /// Who copies; in every round in this order
    #[arg(long, value_delimiter = ',', default_value = "ours,azcopy,rclone,walkthrough,ceiling")]
    tools: Vec<Tool>,
    /// Rounds of all tools, in turn; medians count
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    rounds: usize,
    /// Small workloads in one round, to try it out
    #[arg(long)]
    quick: bool,
    /// A tool that takes longer than this in its first round has no others
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Our program; by default the one that cargo has built with this one
    #[arg(long, value_name = "PROGRAM")]
    worker: Option<PathBuf>,
    /// Our peak memory with 100,000 and 1,000,000 blobs
    #[arg(long)]
    large: bool,
    /// Goodput, refusals and fairness where the storage limits requests
    #[arg(long)]
    throttled: bool,
    /// What a second run on 50,000 copied blobs asks of the storage
    #[arg(long)]
    repeat: bool,
    /// Writes all figures as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Writes a chart as SVG
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    #[command(subcommand)]
    peer: Option<PeerTask>,
}

impl Arguments {
    fn into_plan(self) -> Plan {
        let is_special = self.large || self.throttled || self.repeat;
        let all = if is_special { Vec::new() } else { WORKLOADS.map(str::to_owned).to_vec() };
        Plan {
            workloads: self.workload.unwrap_or(all),
            tools: self.tools,
            rounds: if self.quick { 1 } else { self.rounds },
            is_small: self.quick,
            patience: Duration::from_secs(self.patience),
            worker: self.worker,
            large: self.large,
            throttled: self.throttled,
            repeat: self.repeat,
            output: self.output,
            chart: self.chart,
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command's own error line")]
fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let peer = arguments.peer.take();
    let done = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let done = runtime.block_on(async {
            match peer {
                Some(task) => run_peer(&task).await,
                None => measure(&arguments.into_plan()).await,
            }
        });
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-copy: {error:#}");
            ExitCode::FAILURE
        }
    }
}
