//! `with-testbed COMMAND...`: starts one RabbitMQ and one Azurite, runs the command with their addresses, ends all.
//!
//! The command finds them in `TESTBED_RABBITMQ`, `TESTBED_RABBITMQ_MANAGEMENT` and `TESTBED_AZURITE`. Its exit code
//! becomes ours; 128 + n where a signal n ended it, 125 where we could not start something.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context, Result};
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use testbed::process::{
    ACCOUNTS, AZURITE_VARIABLE, Azurite, Installation, MANAGEMENT_VARIABLE, RABBITMQ_VARIABLE, RabbitMq, RabbitOptions,
};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// Run a command beside a private RabbitMQ node and a private Azurite.
#[derive(Parser)]
#[command(name = "with-testbed")]
struct Arguments {
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

#[expect(clippy::print_stderr, reason = "a command's own lines beside those of what it runs")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // once for all the nodes of a run; what is wrong with it, the start says
    if let Ok(installation) = Installation::find() {
        eprintln!("with-testbed: {installation}");
    }
    let ended = tokio::runtime::Runtime::new().context("cannot start a runtime").and_then(|runtime| {
        let ended = runtime.block_on(run(arguments));
        // what is still starting does not hold us up: its guards see our end
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("with-testbed: {error:#}");
            ExitCode::from(125)
        }
    }
}

async fn run(arguments: Arguments) -> Result<u8> {
    // asked for before anything starts, so that a signal during the start ends us in order too
    let mut signals = Signals::new()?;
    let start = async { tokio::try_join!(RabbitMq::start(RabbitOptions::default()), Azurite::start(&ACCOUNTS)) };
    let (rabbitmq, azurite) = tokio::select! {
        started = start => started?,
        // the guards of half-started processes see our end and clear up
        signal = signals.next() => return Ok(code_of_signal(signal.as_raw())),
    };
    let program = arguments.command.first().context("no command given")?;
    let mut command = Command::new(program);
    command.args(&arguments.command[1..]).env(RABBITMQ_VARIABLE, rabbitmq.amqp_url("/"));
    command.env(AZURITE_VARIABLE, azurite.endpoint().as_str());
    if let Some(management) = rabbitmq.management() {
        command.env(MANAGEMENT_VARIABLE, management.as_str());
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_cargo_run(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(code_of(status?)),
            signal = signals.next() => pass_on(signal, &child)?,
        }
    }
}

/// What `cargo run` tells the program that it runs, us, about our package. A cargo that is the command would take it for a
/// change of its surroundings and build half of the dependencies again.
fn is_of_cargo_run(variable: &str) -> bool {
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(|start| variable.starts_with(start))
        || matches!(variable, "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

/// A terminal sends its Ctrl-C to the command as well, so that it would arrive there twice.
fn pass_on(signal: Signal, child: &Child) -> Result<()> {
    if signal == Signal::INT && std::io::stdin().is_terminal() {
        return Ok(());
    }
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        kill_process(pid, signal).context("cannot pass a signal on to the command")?;
    }
    Ok(())
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().map(|code| u8::try_from(code).unwrap_or(1));
    code.or_else(|| status.signal().map(code_of_signal)).unwrap_or(1)
}

fn code_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}
