//! `overhead --worker PROGRAM`: what the worker costs on top of the broker, beside a bare lapin loop with the same messages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use testbed::overhead::Plan;

/// Measure the worker beside a bare consume-publish-confirm-ack loop, and what already replicated jobs spend their time on.
#[derive(Parser)]
#[command(name = "overhead")]
struct Arguments {
    /// The worker, as `cargo build --release` makes it.
    #[arg(long, default_value = "target/release/stream-replicator")]
    worker: PathBuf,
    /// Deliveries at once, for both.
    #[arg(long, default_value_t = 32)]
    prefetch: u16,
    /// Unusable messages of one round.
    #[arg(long, default_value_t = 10_000)]
    messages: u32,
    /// Rounds of both, in turn; the median is what counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Jobs that find everything already replicated.
    #[arg(long, default_value_t = 400)]
    jobs: u32,
}

#[expect(clippy::print_stderr, reason = "a command's own error line")]
fn main() -> ExitCode {
    let Arguments { worker, prefetch, messages, rounds, jobs } = Arguments::parse();
    let plan = Plan { worker, prefetch, messages, rounds, jobs };
    let measured = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let measured = runtime.block_on(testbed::overhead::measure(&plan));
        runtime.shutdown_background();
        measured
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("overhead: {error:#}");
            ExitCode::FAILURE
        }
    }
}
