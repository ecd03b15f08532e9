//! Azurite, the storage emulator from npm, as a private process that keeps its blobs in memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use tempfile::TempDir;

use super::guard::{Guarded, Launch, wait_for};

const START_LIMIT: Duration = Duration::from_secs(60);
/// Azurite's own text, printed with the port that the kernel gave.
const LISTENS: &str = "successfully listens on ";
/// Puts Azurite's first garbage collection off for 24 days, the longest wait of a JavaScript timer. It begins ten minutes
/// after the start and answers nobody until it is done, which took minutes after 20,000 blobs. No setting turns it off.
const NO_COLLECTION: &str = r"
const constants = require(process.env.TESTBED_AZURITE_CONSTANTS);
if (constants.DEFAULT_GC_INTERVAL_MS === undefined) throw new Error('this azurite has no DEFAULT_GC_INTERVAL_MS');
constants.DEFAULT_GC_INTERVAL_MS = 0x7fffffff;
";

/// A running Azurite; dropping it ends it and forgets its blobs.
pub struct Azurite {
    endpoint: Url,
    // before the directory: fields are dropped in this order
    process: Guarded,
    _dir: TempDir,
}

impl Azurite {
    /// Starts Azurite with these accounts (name and base64 key of 64 bytes) on a free loopback port and waits until it
    /// listens.
    ///
    /// # Errors
    /// When it is not installed, Node.js is missing or older than 18, or it does not come up within a minute.
    pub async fn start(accounts: &[(&str, &str)]) -> Result<Self> {
        let accounts = accounts.iter().map(|(name, key)| format!("{name}:{key}")).collect::<Vec<_>>().join(";");
        tokio::task::spawn_blocking(move || start(accounts)).await?
    }

    /// Where it listens, without an account: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn start(accounts: String) -> Result<Azurite> {
    require_node_18()?;
    let main = find_main()?;
    let dir = tempfile::Builder::new().prefix("testbed-azurite-").tempdir()?;
    let log = dir.path().join("azurite.log");
    let no_collection = dir.path().join("no-collection.js");
    std::fs::write(&no_collection, NO_COLLECTION)?;
    let args = ["--blobPort", "0", "--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"];
    let mut process = Guarded::spawn(Launch {
        program: "node".into(),
        args: [format!("--require={}", no_collection.display()), main.display().to_string()]
            .into_iter()
            .chain(args.map(str::to_owned))
            .collect(),
        env: vec![
            ("AZURITE_ACCOUNTS", accounts),
            ("HOME", dir.path().display().to_string()),
            ("TESTBED_AZURITE_CONSTANTS", main.with_file_name("utils").join("constants.js").display().to_string()),
        ],
        dir: dir.path(),
        log: &log,
        remove_dir: true,
    })?;
    let endpoint = wait_for("azurite", START_LIMIT, || {
        process.check_alive("azurite")?;
        Ok(find_endpoint(&std::fs::read_to_string(&log).unwrap_or_default()))
    });
    let endpoint = endpoint.with_context(|| process.tail())?.parse().context("azurite printed an odd address")?;
    Ok(Azurite { endpoint, process, _dir: dir })
}

/// The address in a complete line of Azurite's output.
fn find_endpoint(output: &str) -> Option<String> {
    let (_, rest) = output.split_once(LISTENS)?;
    let (address, _) = rest.split_once('\n')?;
    Some(address.trim().to_owned())
}

/// The program inside `TESTBED_AZURITE_HOME`, or where `deploy/setup.sh` installs it.
fn find_main() -> Result<PathBuf> {
    let home = std::env::var_os("TESTBED_AZURITE_HOME")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed/azurite"), PathBuf::from);
    let main = home.join("node_modules/azurite/dist/src/blob/main.js");
    match main.canonicalize() {
        Ok(main) => Ok(main),
        Err(_) => bail!("no azurite at {}: run deploy/setup.sh, or set TESTBED_AZURITE_HOME", main.display()),
    }
}

fn require_node_18() -> Result<()> {
    let output = Command::new("node").arg("--version").output();
    let output = output.context("azurite needs node.js 18 or later, and there is none: run deploy/setup.sh")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < 18) {
        bail!("azurite needs node.js 18 or later, and this is {version}: install a newer one");
    }
    Ok(())
}
