//! `demo --worker PROGRAM [--failover]`: plays a story of replication with the worker as a real process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use testbed::demo::Story;

/// Play the demo: private RabbitMQ, Azurite and media services of two data centres, and the real worker between them.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// The worker, as `cargo build` makes it.
    #[arg(long, default_value = "target/debug/stream-replicator")]
    worker: PathBuf,
    /// Play films through a CDN's stand-in instead, and kill their source meanwhile; needs FFmpeg and nginx
    #[arg(long)]
    failover: bool,
}

#[expect(clippy::print_stderr, reason = "a command's own error line")]
fn main() -> ExitCode {
    let Arguments { worker, failover } = Arguments::parse();
    let story = if failover { Story::Failover } else { Story::Replication };
    let worker = match worker.canonicalize() {
        Ok(worker) => worker,
        Err(error) => {
            eprintln!("demo: no worker at {}: {error}; build it, or run deploy/demo.sh", worker.display());
            return ExitCode::FAILURE;
        }
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let code = runtime.block_on(testbed::demo::play(&worker, story));
            // what is still starting does not hold us up: its guards see our end
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("demo: cannot start a runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
