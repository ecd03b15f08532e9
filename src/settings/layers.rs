//! The layers of the settings: built-in defaults, then a file, then the environment, then the files of secrets.

use std::collections::HashMap;
use std::path::Path;

use config::{Config, ConfigError, Environment, File, FileFormat};

use super::{ClientCertificate, MediaSettings, Problem, Settings, check, secret};

/// The reference of all keys, compiled in as the lowest layer.
const DEFAULTS: &str = include_str!("../../config/default.toml");
/// What our environment variables begin with.
const PREFIX: &str = "STREAM_REPLICATOR";

/// Why the settings cannot be used. Names keys, never the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A layer cannot be read.
    #[error("settings cannot be read: {0}")]
    Unreadable(String),
    /// Values are wrong.
    #[error("{}", lines(.0))]
    Wrong(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Loads and checks the settings: defaults, then `file`, then `environment` (variables that begin with
/// `STREAM_REPLICATOR__`, `__` between the words of a key), then the files that `*_file` keys name.
///
/// # Errors
/// When a layer cannot be read or a value is wrong; the error names the key and what is wrong with it.
pub fn load(file: Option<&Path>, environment: HashMap<String, String>) -> Result<Settings, SettingsError> {
    let mut layers = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| SettingsError::Unreadable(format!("file {}: {error}", path.display())))?;
        layers = layers.add_source(File::from_str(&text, FileFormat::Toml));
    }
    // No `try_parsing`: it would turn the password "0075" into the number 75.
    let environment = Environment::with_prefix(PREFIX).prefix_separator("__").separator("__").source(Some(environment));
    let layers = layers.add_source(environment).build();
    let mut settings: Settings = layers.and_then(Config::try_deserialize).map_err(|error| told(&error))?;
    let mut problems = fill_secrets(&mut settings);
    // A key that was given but could not be had is not missing too.
    let more = check::problems(&settings).into_iter();
    let more: Vec<_> = more.filter(|problem| problems.iter().all(|told| told.key != problem.key)).collect();
    problems.extend(more);
    settings.sites.values_mut().for_each(super::SiteSettings::complete);
    if problems.is_empty() { Ok(settings) } else { Err(SettingsError::Wrong(problems)) }
}

/// What the library says, in our form: the key, then the problem.
fn told(error: &ConfigError) -> SettingsError {
    let (key, problem) = key_and_problem(error);
    if key.is_empty() {
        SettingsError::Unreadable(problem)
    } else {
        SettingsError::Wrong(vec![Problem::new(key, problem)])
    }
}

/// The key is empty where the library does not know it. No value is told: one in the wrong place may be a secret.
fn key_and_problem(error: &ConfigError) -> (String, String) {
    match error {
        ConfigError::NotFound(key) => (key.clone(), "is missing".to_owned()),
        ConfigError::Type { unexpected, expected, key, .. } => {
            let found = unexpected.to_string();
            let kind = match found.split(['`', '"']).next().unwrap_or_default().trim() {
                "string" => "text",
                "sequence" => "a list",
                "map" => "a table",
                "boolean" => "true or false",
                _ => "a number that does not fit",
            };
            (key.clone().unwrap_or_default(), format!("is {kind} where {expected} is expected"))
        }
        ConfigError::At { error, key, .. } => {
            let (inner, problem) = key_and_problem(error);
            (key.clone().unwrap_or(inner), problem)
        }
        other => (String::new(), harmless(&other.to_string())),
    }
}

/// What the library says, without what it quotes: a value, or the line with the mistake, which it draws with a `|` in front.
fn harmless(told: &str) -> String {
    if let Some((_, choice)) = told.split_once(" does not have variant constructor ") {
        return format!("'{choice}' is none of the choices: see config/default.toml");
    }
    if told.starts_with("relative URL without a base") {
        return "is not a URL: begin it with https://".to_owned();
    }
    let lines =
        told.lines().filter(|line| !line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with('|'));
    let quoted = |line: &str| Some((line.find('"')?, line.rfind('"')?));
    let strike = |line: &str| match quoted(line) {
        Some((first, last)) => format!("{}...{}", &line[..=first], &line[last..]),
        None => line.to_owned(),
    };
    lines.map(strike).collect::<Vec<_>>().join(": ")
}

/// Puts beside every `*_file` what the file holds, so that the rest of the house sees one place for each secret.
pub(super) fn fill_secrets(settings: &mut Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let broker = &mut settings.rabbitmq;
    // Its file keeps its place: each connection reads it anew.
    if broker.url_file.is_some() {
        if broker.url.is_some() {
            problems.push(Problem::new("rabbitmq.url", secret::SecretFileError::Both.to_string()));
        } else {
            match broker.current_url() {
                Ok(url) => broker.url = url,
                Err(error) => problems.push(Problem::new("rabbitmq.url_file", error.to_string())),
            }
        }
    }
    for (name, site) in &mut settings.sites {
        let mut nothing = MediaSettings::default();
        let media = site.media.as_mut().unwrap_or(&mut nothing);
        for (place, key, file) in [
            ("media.key", &mut media.key, &mut media.key_file),
            ("media.client_secret", &mut media.client_secret, &mut media.client_secret_file),
            ("storage.key", &mut site.storage.key, &mut site.storage.key_file),
        ] {
            match secret::resolve(key.take(), file.as_ref()) {
                Ok(found) => *key = found,
                Err(error) => problems.push(Problem::new(format!("sites.{name}.{place}"), error.to_string())),
            }
        }
        match media.certificate_file.as_deref().map(ClientCertificate::read).transpose() {
            Ok(certificate) => media.certificate = certificate,
            Err(problem) => problems.push(Problem::new(format!("sites.{name}.media.certificate_file"), problem)),
        }
    }
    problems
}
