//! The programs that take part, and where they are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Names a program of one's choice in place of the one that `deploy/bench.sh` has installed.
const AZCOPY_VARIABLE: &str = "BENCH_AZCOPY";
/// Where `deploy/bench.sh` puts azcopy, under the workspace's target directory.
const AZCOPY_HOME: &str = "target/testbed/peers/node_modules/@azure-tools/azcopy-linux/dist/bin";

/// Our own programs, and those of the peers that are installed.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) worker: PathBuf,
    pub(super) model: PathBuf,
    /// This one, which is the walkthrough's loop and the ceiling too.
    pub(super) bench: PathBuf,
    pub(super) azcopy: Option<Peer>,
    pub(super) rclone: Option<Peer>,
}

/// Somebody else's program.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) path: PathBuf,
    /// Such as `azcopy 10.32.2`.
    pub(super) name: String,
}

impl Programs {
    /// Builds ours where cargo has started us, and looks for the others.
    ///
    /// # Errors
    /// When one of ours is not there.
    pub(super) fn find(worker: Option<&Path>) -> Result<Self> {
        build()?;
        let bench = std::env::current_exe()?;
        let beside = |name: &str| bench.with_file_name(name);
        let (worker, model) =
            (worker.map_or_else(|| beside("stream-replicator"), Path::to_owned), beside("cloud-model"));
        for program in [&worker, &model] {
            let how = "cargo build --release -p stream-replicator -p testbed";
            ensure!(program.exists(), "no program at {}: {how}", program.display());
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let installed = workspace.join(AZCOPY_HOME).join(azcopy_file());
        let azcopy = std::env::var_os(AZCOPY_VARIABLE).map(PathBuf::from);
        let azcopy = azcopy.or_else(|| installed.canonicalize().ok()).unwrap_or_else(|| "azcopy".into());
        Ok(Self { worker, model, bench, azcopy: Peer::find(azcopy), rclone: Peer::find("rclone".into()) })
    }
}

/// As the npm package names it for this processor.
fn azcopy_file() -> &'static str {
    if cfg!(target_arch = "aarch64") { "azcopy_linux_arm64" } else { "azcopy_linux_amd64" }
}

/// `cargo run` builds this program alone; the others shall not be of yesterday. Each is built as it is alone, for together
/// the packages have other features, and everything would be compiled anew.
fn build() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    for (package, program) in [("stream-replicator", "stream-replicator"), ("testbed", "cloud-model")] {
        let mut command = Command::new(&cargo);
        command.args(["build", "--quiet", "--package", package, "--bin", program]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let built = command.stdin(Stdio::null()).status().context("cannot start cargo")?;
        ensure!(built.success(), "{program} does not build: see above");
    }
    Ok(())
}

impl Peer {
    /// `None` when there is none, or when it does not run here.
    fn find(path: PathBuf) -> Option<Self> {
        let home = tempfile::tempdir().ok()?;
        let mut command = Command::new(&path);
        // azcopy writes its logs below HOME
        command.arg("--version").env("HOME", home.path()).stdin(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let name =
            text.lines().next()?.replace(" version ", " ").replace(" v", " ").replace("-DEV", "").trim().to_owned();
        Some(Self { path, name })
    }
}
