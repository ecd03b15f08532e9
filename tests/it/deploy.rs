//! What runs it in production, as `deploy/` ships it: settings that the program takes, alerts with a way out, a unit that is told.

mod alerts;
mod broker;
mod live;
mod notify;
mod probe;
mod prometheus;
mod shipped;
mod topology;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use stream_replicator::settings::{Settings, load};

/// A file or folder of `deploy/`.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Its text.
fn text(name: &str) -> Result<String> {
    std::fs::read_to_string(path(name)).with_context(|| format!("deploy/{name}"))
}

/// The files that a settings file wants its secrets from.
fn secret_files(settings: &str) -> Vec<&str> {
    let file = |line: &'_ str| -> Option<(usize, usize)> {
        let (key, value) = line.split_once(" = \"")?;
        let end = value.find('"')?;
        let begin = key.len() + " = \"".len();
        key.trim_end().ends_with("_file").then_some((begin, begin + end))
    };
    let lines = settings.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| file(line).map(|(begin, end)| &line[begin..end])).collect()
}

/// A shipped settings file as the program's own loader takes it, with something in place of each secret.
fn load_shipped(name: &str) -> Result<Settings> {
    let (folder, mut settings) = (tempfile::tempdir()?, text(name)?);
    for (number, file) in secret_files(&settings.clone()).into_iter().enumerate() {
        let secret = if file.contains("url") { "amqps://worker:secret@rabbitmq.example:5671/%2f" } else { "a2V5" };
        let here = folder.path().join(number.to_string());
        std::fs::write(&here, secret)?;
        ensure!(file.starts_with("/run/"), "{name}: {file} is not where secrets are");
        settings = settings.replace(&format!("\"{file}\""), &format!("'{}'", here.display()));
    }
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, settings)?;
    load(Some(&file), HashMap::new()).map_err(|error| anyhow::anyhow!("deploy/{name}: {error}"))
}
