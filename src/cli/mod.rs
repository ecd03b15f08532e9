//! The commands: one file for each; `run` wires the house.
#![expect(clippy::print_stderr, reason = "printing is what a command line does")]

/// Prints a line to stdout. Whoever has read enough of it (`| head`) closes it, which is no error of ours.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod bar;
mod check;
mod completions;
mod copy;
mod dead_letters;
mod exit;
mod man;
mod output;
mod probe;
mod replicate;
mod run;
mod schema;
mod top;
mod topology;

pub use exit::Exit;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::http::TraceSender;
use crate::settings::{self, LogFormat, Settings, SettingsError};
use crate::telemetry;
use crate::telemetry::traces::{Export, Traces};

/// Makes every encoded video asset playable from a second data centre, and announces it.
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct Arguments {
    /// Settings file (TOML); every key is described in config/default.toml
    #[arg(long, global = true, value_name = "FILE", env = "STREAM_REPLICATOR_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    asked: Asked,
}

const AFTER_HELP: &str = "\
Settings: built-in defaults < --config FILE < environment (STREAM_REPLICATOR__RABBITMQ__URL) < *_file secrets.
Exit codes: 0 done; 1 failed; 2 nothing fits; 3 stopped before running jobs had ended; 64 wrong arguments or settings.";

#[derive(Debug, Subcommand)]
enum Asked {
    #[command(flatten)]
    Work(Command),
    #[command(flatten)]
    About(About),
}

/// What needs settings.
#[derive(Debug, Subcommand)]
enum Command {
    /// Consume messages from RabbitMQ and replicate what they name, until SIGTERM
    Run,
    /// Say for the broker and every site what can be reached; changes nothing
    Check,
    /// Copy containers from one site's storage to another's and verify them, without broker and media service
    Copy(copy::CopyArguments),
    /// Look at the messages that were set aside, replay, edit or discard them
    DeadLetters(dead_letters::DeadLettersArguments),
    /// Ask the worker beside it whether it is alive, or ready: for health checks of images without curl
    Probe(probe::ProbeArguments),
    /// Replicate one asset now, without a broker
    Replicate(replicate::ReplicateArguments),
    /// Show what running workers have in hand and what they count, until q is pressed
    Top(top::TopArguments),
    /// Make, compare or export what the worker needs at the broker
    #[command(subcommand)]
    Topology(topology::TopologyCommand),
}

/// What tells about the program itself, beside whatever settings.
#[derive(Debug, Subcommand)]
enum About {
    /// Print the form of our messages: JSON Schemas, and an AsyncAPI 3 document
    Schema(schema::SchemaArguments),
    /// Print a script by which a shell completes this command line
    Completions(completions::CompletionsArguments),
    /// Print the manual page
    Man,
}

/// Carries out what the arguments ask for.
pub async fn execute(arguments: Arguments) -> Exit {
    let config = arguments.config.as_deref();
    let command = match arguments.asked {
        Asked::Work(command) => command,
        Asked::About(About::Schema(arguments)) => return schema::schema(&arguments, config),
        Asked::About(About::Completions(arguments)) => return completions::completions(&arguments),
        Asked::About(About::Man) => return man::man(),
    };
    let settings = match load(config) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return Exit::BadSettings;
        }
    };
    let format = match settings.worker.log_format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    let traces = match traces(&settings) {
        Ok(traces) => traces,
        Err(problem) => {
            eprintln!("traces.otlp_url: {problem}");
            return Exit::BadSettings;
        }
    };
    if let Err(error) = telemetry::start(format, &settings.worker.log_filter, traces.as_ref()) {
        eprintln!("{error}");
        return Exit::BadSettings;
    }
    let exit = work(command, &settings).await;
    if let Some(traces) = traces {
        // a panic in there has lost traces and nothing else
        let _ = tokio::task::spawn_blocking(|| traces.end()).await;
    }
    exit
}

/// The export of traces, where the settings ask for it.
fn traces(settings: &Settings) -> Result<Option<Traces>, Box<dyn Error>> {
    let Some(url) = &settings.traces.otlp_url else { return Ok(None) };
    let client = TraceSender::new(&settings.http)?;
    let export = Export { url: url.to_string(), sample_ratio: settings.traces.sample_ratio, client };
    Ok(Some(Traces::begin(export)?))
}

async fn work(command: Command, settings: &Settings) -> Exit {
    match command {
        Command::Run => run::run(settings).await,
        Command::Check => check::check(settings).await,
        Command::Copy(arguments) => copy::copy(settings, &arguments).await,
        Command::DeadLetters(arguments) => dead_letters::dead_letters(&settings.rabbitmq, arguments).await,
        Command::Probe(probe) => probe::probe(settings, &probe).await,
        Command::Replicate(arguments) => replicate::replicate(settings, &arguments).await,
        Command::Top(arguments) => top::top(settings, &arguments).await,
        Command::Topology(command) => topology::topology(settings, &command).await,
    }
}

fn load(file: Option<&std::path::Path>) -> Result<Settings, SettingsError> {
    settings::load(
        file,
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect(),
    )
}
