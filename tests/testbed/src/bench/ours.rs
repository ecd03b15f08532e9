//! `stream-replicator copy` as a program to be measured.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use url::Url;

use crate::process::ACCOUNTS;

use super::cloud::Pair;
use super::meter::{self, Metered};

/// Names our settings file.
const CONFIG_VARIABLE: &str = "STREAM_REPLICATOR_CONFIG";
/// Media services are never asked here.
const NOWHERE: &str = "http://127.0.0.1:9/";
const MEDIA_KEY: &str = "bWVkaWEga2V5IG9mIHRoZSBiZW5jaG1hcmssIGd1YXJkcyBub3RoaW5n";

/// A line of its report: one container that was copied.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copied {
    pub(super) files: u64,
    pub(super) copied_files: u64,
    /// Wall time of the whole container.
    pub(super) seconds: f64,
    /// The part that was copying; the rest is listing and verification.
    #[serde(default)]
    pub(super) copy_seconds: Option<f64>,
}

/// One process, and what it said of each container.
#[derive(Clone, Debug)]
pub(super) struct OurRun {
    pub(super) metered: Metered,
    pub(super) copied: Vec<Copied>,
}

/// Copies these containers one after the other in one process.
///
/// # Errors
/// When it fails, is too slow, or reports something else than was asked for.
pub(super) async fn copy(program: &Path, endpoint: &Url, pairs: &[Pair], limit: Duration) -> Result<OurRun> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, settings(endpoint)?)?;
    let mut command = Command::new(program);
    command.env_clear().env(CONFIG_VARIABLE, &config).args(["copy", "--json"]).args(ACCOUNTS.map(|(name, _)| name));
    command.args(pairs.iter().map(|pair| format!("{}:{}", pair.source, pair.replica)));
    let metered = tokio::task::spawn_blocking(move || meter::run(command, limit, folder.path())).await??;
    let copied = metered.stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Copied>, _>>();
    let copied = copied.with_context(|| format!("its report is odd: {}", metered.stdout))?;
    ensure!(copied.len() == pairs.len(), "it reports {} containers of {}", copied.len(), pairs.len());
    Ok(OurRun { metered, copied })
}

/// Two sites, named as their storage accounts are.
fn settings(endpoint: &Url) -> Result<String> {
    let mut text = "[rabbitmq]\nurl = 'amqp://127.0.0.1:9/%2f'\n".to_owned();
    for (site, key) in ACCOUNTS {
        write!(
            text,
            "[sites.{site}]\nkind = 'ams-v2'\n[sites.{site}.media]\naccount = '{site}media'\nkey = '{MEDIA_KEY}'\n\
             token_url = '{NOWHERE}'\napi_url = '{NOWHERE}'\nallowed_hosts = ['127.0.0.1']\n\
             [sites.{site}.storage]\naccount = '{site}'\nkey = '{key}'\nblob_url = '{blobs}'\n",
            blobs = endpoint.join(site)?,
        )?;
    }
    let [(source, _), (replica, _)] = ACCOUNTS;
    write!(text, "[routes.{source}]\nreplicas = ['{replica}']\n")?;
    Ok(text)
}
