//! `media-services-emulator`: emulates Azure Media Services v2 over HTTP until it is told to stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::Deserialize;
use testbed::emulator::{
    AccountConfig, Emulator, EmulatorConfig, EncoderConfig, EntraPrincipal, Ports, PreparedFile, Switches,
    control_router,
};
use testbed::storage::Storage;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Emulate Azure Media Services v2: accounts in several data centres, streaming endpoints, encoding jobs, and faults.
#[derive(Parser)]
#[command(name = "media-services-emulator")]
struct Arguments {
    /// An account: NAME=DATA_CENTRE,KEY,STORAGE_ENDPOINT,STORAGE_ACCOUNT,STORAGE_KEY, then optionally ,STREAMING_PORT; may be repeated
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// A JSON file with accounts in place of --account
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory whose files encoding jobs produce
    #[arg(long, value_name = "DIRECTORY")]
    media: Option<PathBuf>,
    /// How long a job stays in each state, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000)]
    job_step_milliseconds: u64,
    /// The port of the global front door
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    front_door_port: u16,
    /// The port of the token door
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    acs_port: u16,
    /// The port of the Entra (Azure AD) token door
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    entra_port: u16,
    /// The port of a data centre's cluster: DATA_CENTRE=PORT; may be repeated
    #[arg(long = "cluster-port", value_name = "DATA_CENTRE=PORT")]
    cluster_ports: Vec<String>,
    /// The port of the control door, for faults and outages while the emulator runs; without it there is none
    #[arg(long, value_name = "PORT")]
    control_port: Option<u16>,
    /// Print the addresses as one line of JSON when every door is open
    #[arg(long)]
    print_json: bool,
}

/// The JSON file of `--config`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    accounts: Vec<ConfigAccount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigAccount {
    name: String,
    data_centre: String,
    key: String,
    storage_endpoint: String,
    storage_account: String,
    storage_key: String,
    /// Further storage accounts.
    #[serde(default)]
    more_storage: Vec<ConfigStorage>,
    #[serde(default)]
    streaming_port: u16,
    #[serde(default)]
    restv2_port: u16,
    #[serde(default)]
    entra: Option<EntraPrincipal>,
    #[serde(default)]
    switches: Switches,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigStorage {
    endpoint: String,
    account: String,
    key: String,
}

#[expect(clippy::print_stderr, reason = "a command's own error line")]
fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime");
    match runtime.and_then(|runtime| runtime.block_on(run(Arguments::parse()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("media-services-emulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let control = match arguments.control_port {
        Some(port) => Some(TcpListener::bind(("127.0.0.1", port)).await.context("the control port cannot be bound")?),
        None => None,
    };
    let print_json = arguments.print_json;
    let emulator = Arc::new(Emulator::start(config_of(arguments)?).await?);
    let mut addresses = emulator.addresses();
    if let Some(listener) = control {
        addresses["control"] = format!("http://{}", listener.local_addr()?).into();
        let router = control_router(Arc::clone(&emulator));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    if print_json {
        #[expect(clippy::print_stdout, reason = "the answer to --print-json")]
        {
            println!("{addresses}");
        }
    } else {
        tracing::info!(%addresses, "open");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("closed");
    Ok(())
}

fn config_of(arguments: Arguments) -> Result<EmulatorConfig> {
    let mut accounts = arguments.accounts.iter().map(|text| parse_account(text)).collect::<Result<Vec<_>>>()?;
    if let Some(path) = &arguments.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let file: ConfigFile =
            serde_json::from_str(&text).with_context(|| format!("{} is not valid", path.display()))?;
        accounts.extend(file.accounts);
    }
    ensure!(!accounts.is_empty(), "no account given: use --account or --config");
    let clusters = arguments.cluster_ports.iter().map(|text| parse_port(text)).collect::<Result<BTreeMap<_, _>>>()?;
    let files = match &arguments.media {
        Some(directory) => PreparedFile::load_directory(directory)?,
        None => Vec::new(),
    };
    Ok(EmulatorConfig {
        accounts: accounts.into_iter().map(ConfigAccount::build).collect::<Result<_>>()?,
        ports: Ports {
            front_door: arguments.front_door_port,
            acs: arguments.acs_port,
            entra: arguments.entra_port,
            clusters,
        },
        encoder: EncoderConfig {
            files,
            step: Duration::from_millis(arguments.job_step_milliseconds),
            ..EncoderConfig::default()
        },
        ..EmulatorConfig::default()
    })
}

impl ConfigAccount {
    fn build(self) -> Result<AccountConfig> {
        let storage = |endpoint: &str, account: &str, key: &str| {
            let invalid = || format!("the storage of the account '{}' is not valid", self.name);
            Storage::new(endpoint.parse().with_context(invalid)?, account, key).with_context(invalid)
        };
        let default = storage(&self.storage_endpoint, &self.storage_account, &self.storage_key)?;
        let more = self.more_storage.iter().map(|one| storage(&one.endpoint, &one.account, &one.key));
        let more_storage = more.collect::<Result<_>>()?;
        let mut account = AccountConfig::new(&self.name, &self.key, &self.data_centre, default);
        account.more_storage = more_storage;
        account.streaming_port = self.streaming_port;
        account.restv2_port = self.restv2_port;
        account.entra = self.entra;
        account.switches = self.switches;
        Ok(account)
    }
}

/// The error names the account, never its keys.
fn parse_account(text: &str) -> Result<ConfigAccount> {
    let name = text.split('=').next().unwrap_or_default();
    let invalid = || format!("--account {name}: use NAME=DATA_CENTRE,KEY,STORAGE_ENDPOINT,STORAGE_ACCOUNT,STORAGE_KEY");
    let (_, rest) = text.split_once('=').with_context(invalid)?;
    let mut parts = rest.split(',').map(str::to_owned);
    let mut next = || parts.next().filter(|part| !part.is_empty()).with_context(invalid);
    let (data_centre, key) = (next()?, next()?);
    let (storage_endpoint, storage_account, storage_key) = (next()?, next()?, next()?);
    let streaming_port = parts.next().map_or(Ok(0), |port| port.parse()).with_context(invalid)?;
    let name = name.to_owned();
    let switches = Switches::default();
    Ok(ConfigAccount {
        name,
        data_centre,
        key,
        storage_endpoint,
        storage_account,
        storage_key,
        more_storage: Vec::new(),
        streaming_port,
        restv2_port: 0,
        entra: None,
        switches,
    })
}

fn parse_port(text: &str) -> Result<(String, u16)> {
    let pair = text.split_once('=').and_then(|(name, port)| Some((name.to_owned(), port.parse().ok()?)));
    pair.with_context(|| format!("--cluster-port {text}: use DATA_CENTRE=PORT"))
}
