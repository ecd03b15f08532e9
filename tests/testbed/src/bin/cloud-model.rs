//! `cloud-model`: a blob service in memory with a cost model, as a process of its own.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use testbed::cloud::{CloudModel, Costs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Serve Azure Blob REST out of memory, with a cost model. Prints its address as one line of JSON, and ends on SIGTERM or
/// when its standard input closes.
#[derive(Parser)]
#[command(name = "cloud-model")]
struct Arguments {
    /// Accounts: NAME=KEY (base64), several with commas between them
    #[arg(long, value_name = "ACCOUNTS", value_delimiter = ',')]
    accounts: Vec<String>,
    /// The port; without it any free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// The costs as JSON, on top of the defaults; `none` for no costs at all
    #[arg(long, value_name = "JSON")]
    costs: Option<String>,
    /// Threads that serve requests; more than one is for machines with cores to spare
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: usize,
}

#[expect(clippy::print_stderr, reason = "a command's own error line")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let threads = arguments.threads.max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    match runtime.context("cannot start a runtime").and_then(|runtime| runtime.block_on(run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloud-model: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let costs = match arguments.costs.as_deref() {
        None => Costs::default(),
        Some("none") => Costs::none(),
        Some(text) => serde_json::from_str(text).context("--costs is not valid")?,
    };
    ensure!(!arguments.accounts.is_empty(), "no account given: use --accounts NAME=KEY,..");
    let accounts = arguments.accounts.iter().map(|text| parse_account(text)).collect::<Result<Vec<_>>>()?;
    let model = CloudModel::start_on(arguments.port, &accounts, costs).await?;
    let names: Vec<&str> = accounts.iter().map(|(name, _)| *name).collect();
    #[expect(clippy::print_stdout, reason = "how its starter learns the address")]
    {
        println!("{}", json!({ "endpoint": model.endpoint().as_str(), "accounts": names, "pid": std::process::id() }));
    }
    let (closed, input_closed) = oneshot::channel();
    // a thread of its own: nobody waits for it when the process ends
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = input_closed => {}
    }
    Ok(())
}

/// The error repeats nothing: it could be a key.
fn parse_account(text: &str) -> Result<(&str, &str)> {
    text.split_once('=').context("--accounts is not valid: use NAME=KEY,NAME=KEY")
}
