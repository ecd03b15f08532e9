//! Settings: four layers, checked at the start, wrong ones named with exit code 64, never a secret in an error.

mod broker_tls;
mod clouds;

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use stream_replicator::settings::{Settings, SettingsError, StorageAccess, load};

use crate::support::run_once;

/// The smallest settings that a worker can start with.
const GOOD: &str = r#"
[rabbitmq]
url = "amqp://worker:hunter2@127.0.0.1:1/%2f"
[sites.west]
kind = "ams-v2"
[sites.west.media]
account = " westmedia "
key = " 0075 "
[sites.west.storage]
account = "weststorage"
key = "c3RvcmFnZSBrZXk="
[sites.east]
kind = "ams-v2"
[sites.east.media]
account = "eastmedia"
key = "media key"
[sites.east.storage]
account = "eaststorage"
key = "c3RvcmFnZSBrZXk="
[routes.west]
replicas = ["east"]
"#;

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Result<Settings, SettingsError>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text)?;
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Ok(load(Some(&file), environment))
}

#[test]
fn the_environment_beats_the_file_and_the_file_beats_the_defaults() -> Result<()> {
    let text = format!("[worker]\nconcurrency = 2\ngrace_seconds = 7\n{GOOD}");
    let environment = [
        ("STREAM_REPLICATOR__WORKER__CONCURRENCY", "9"),
        ("STREAM_REPLICATOR__SITES__EAST__MEDIA__KEY", "0075"),
        ("STREAM_REPLICATOR__SITES__NORTH__KIND", "ams-v2"),
        ("STREAM_REPLICATOR__SITES__NORTH__MEDIA__ACCOUNT", "northmedia"),
        ("STREAM_REPLICATOR__SITES__NORTH__MEDIA__KEY", "k"),
        ("STREAM_REPLICATOR__SITES__NORTH__STORAGE__ACCOUNT", "northstorage"),
        ("STREAM_REPLICATOR__SITES__NORTH__STORAGE__KEY", "a2V5"),
        ("STREAM_REPLICATOR__ROUTES__WEST__REPLICAS", "east, north"),
        ("STREAM_REPLICATOR__RABBITMQ__RETRY_DELAYS_SECONDS", "3, 60"),
        ("SOMETHING_ELSE", "1"),
    ];
    let settings = load_text(&text, &environment)??;
    assert_eq!(settings.worker.concurrency, 9, "from the environment");
    assert_eq!(settings.worker.grace_seconds, 7, "from the file");
    assert_eq!(settings.worker.job_deadline_seconds, 86_400, "from the defaults");
    let site = |name: &str| settings.sites.iter().find(|(key, _)| key.as_str() == name).map(|(_, site)| site);
    let west = site("west").context("no west")?;
    assert_eq!(west.media.as_ref().unwrap().account, "westmedia", "trimmed");
    let key = |site: &stream_replicator::settings::SiteSettings| {
        site.media.as_ref()?.key.as_ref().map(|key| key.expose().to_owned())
    };
    assert_eq!(key(west).as_deref(), Some("0075"), "trimmed, and still text");
    assert_eq!(
        key(site("east").context("no east")?).as_deref(),
        Some("0075"),
        "a number in the environment is text too"
    );
    let replicas: Vec<_> = settings.routes()[0].replicas.iter().map(ToString::to_string).collect();
    assert_eq!(replicas, ["east", "north"]);
    assert_eq!(settings.rabbitmq.retry_delays_seconds, [3, 60], "numbers between commas");
    Ok(())
}

#[test]
fn a_secret_may_be_a_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "from a file\n")?;
    let line = format!("key_file = '{}'", secret.display());
    let settings = load_text(&GOOD.replace("key = \"media key\"", &line), &[])??;
    let keys: Vec<_> =
        settings.sites.values().filter_map(|site| site.media.as_ref()?.key.as_ref()).map(|key| key.expose()).collect();
    assert_eq!(keys, ["from a file", "0075"], "east, west");

    std::fs::write(&secret, "amqps://worker:hunter3@broker/%2f\n")?;
    let line = format!("url_file = '{}'", secret.display());
    let settings = load_text(&GOOD.replace("url = \"amqp://worker:hunter2@127.0.0.1:1/%2f\"", &line), &[])??;
    let url = settings.rabbitmq.url.context("no url")?;
    assert_eq!(url.expose(), "amqps://worker:hunter3@broker/%2f");
    assert_eq!(url.to_string(), "amqps://worker:redacted@broker/%2f");
    Ok(())
}

const EAST_STORAGE_KEY: &str = "key = \"c3RvcmFnZSBrZXk=\"\n[routes";

#[test]
fn a_site_may_do_without_the_name_and_the_key_of_its_storage_account() -> Result<()> {
    let settings = load_text(GOOD, &[])??;
    let access = |settings: &Settings| settings.sites.values().map(|site| site.storage.access).collect::<Vec<_>>();
    assert_eq!(access(&settings), [StorageAccess::AccountKey, StorageAccess::AccountKey], "by default");

    let text = GOOD.replace(EAST_STORAGE_KEY, "access = 'sas-locators'\n[routes");
    for text in [text.replace("account = \"eaststorage\"", ""), text] {
        let settings = load_text(&text, &[])??;
        assert_eq!(access(&settings), [StorageAccess::SasLocators, StorageAccess::AccountKey], "east, west");
    }
    Ok(())
}

/// What a user may get wrong: what is replaced in good settings, by what, and what the error must name.
const WRONG: [(&str, &str, &[&str]); 41] = [
    ("[rabbitmq]", "[rabbitmq]\ntimeout = 3", &["timeout", "rabbitmq"]),
    ("[rabbitmq]", "[rabbitmq]\ntimeout_seconds = 'soon'", &["rabbitmq.timeout_seconds"]),
    ("[rabbitmq]", "[rabbitmq]\ntimeout_seconds = 0", &["rabbitmq.timeout_seconds", "at least 1"]),
    ("[rabbitmq]", "[rabbitmq]\nretry_delays_seconds = [5, 5]", &["rabbitmq.retry_delays_seconds", "ascending"]),
    ("[rabbitmq]", "[rabbitmq]\nretry_delays_seconds = []", &["rabbitmq.retry_delays_seconds"]),
    ("[rabbitmq]", "[rabbitmq]\nprefix = ''", &["rabbitmq.prefix"]),
    ("[rabbitmq]", "[rabbitmq]\ntopology = 'maybe'", &["rabbitmq.topology"]),
    ("[rabbitmq]", "[rabbitmq]\nurl_file = '/nowhere'", &["rabbitmq.url", "not both"]),
    ("amqp://worker", "http://worker", &["rabbitmq.url", "amqp://"]),
    ("amqp://worker:hunter2@127.0.0.1:1/%2f", "hunter2", &["rabbitmq.url", "is not a URL"]),
    ("[rabbitmq]", "[worker]\nlog_filter = 'stream=loud=very'\n[rabbitmq]", &["worker.log_filter"]),
    ("[rabbitmq]", "[worker]\nconcurrency = 0\n[rabbitmq]", &["worker.concurrency", "at least 1"]),
    ("[rabbitmq]", "[worker]\nslice_seconds = 101\n[rabbitmq]", &["worker.slice_seconds", "max_hold_seconds: 100"]),
    ("[rabbitmq]", "[worker]\nmax_hold_seconds = 299\n[rabbitmq]", &["http.storage_timeout_seconds", "a third", "99"]),
    ("[rabbitmq]", "[replication]\nprobe_path = 'x'\n[rabbitmq]", &["replication.probe_path", "slash"]),
    ("kind = \"ams-v2\"\n[sites.east", "kind = \"ams-v9\"\n[sites.east", &["sites.east.kind", "ams-v9"]),
    ("key = \"media key\"", "", &["sites.east.media.key", "is missing"]),
    ("key = \"media key\"", "key_file = '/nowhere/x'", &["sites.east.media.key", "/nowhere/x"]),
    ("key = \"media key\"", "key = 'hunter2'\nkey_file = '/nowhere/x'", &["sites.east.media.key", "not both"]),
    ("\"c3RvcmFnZSBrZXk=\"\n[routes", "'hunter2 hunter2'\n[routes", &["sites.east.storage.key", "base64"]),
    ("\"c3RvcmFnZSBrZXk=\"\n[routes", "''\n[routes", &["sites.east.storage.key: must not be empty"]),
    (EAST_STORAGE_KEY, "[routes", &["sites.east.storage.key: is missing", "key_file", "access"]),
    (EAST_STORAGE_KEY, "access = 'sas'\n[routes", &["sites.east.storage.access", "'sas'"]),
    ("account = \"eaststorage\"", "access = 'sas-locators'", &["sites.east.storage.key", "remove key", "account-key"]),
    ("account = \"eaststorage\"", "", &["sites.east.storage.account: is missing"]),
    ("\"eaststorage\"", "'East-Storage'", &["sites.east.storage.account", "lower-case"]),
    ("account = \"eaststorage\"", "account = ''", &["sites.east.storage.account: must not be empty"]),
    (
        EAST_STORAGE_KEY,
        "key_file = '/nowhere/x'\naccess = 'sas-locators'\n[routes",
        &["sites.east.storage.key", "/nowhere/x"],
    ),
    ("account = \"eastmedia\"", "account = ' '", &["sites.east.media.account", "empty"]),
    ("[\"east\"]", "[\"south\"]", &["routes.west.replicas", "[sites.south]"]),
    ("[\"east\"]", "[\"west\"]", &["routes.west.replicas", "its own replica"]),
    ("[\"east\"]", "7", &["routes.west.replicas", "a list"]),
    ("[rabbitmq]", "[rabbitmq]\nretry_delays_seconds = [5, 'soon']", &["rabbitmq.retry_delays_seconds"]),
    ("[rabbitmq]", "[rabbitmq]\nretry_delays_seconds = [-5]", &["rabbitmq.retry_delays_seconds"]),
    ("[rabbitmq]", "[worker]\nmax_attempts = -1\n[rabbitmq]", &["worker.max_attempts"]),
    ("account = \"eastmedia\"", "account = 'e'\napi_url = 'eastmedia'", &["sites.east.media.api_url"]),
    (
        "account = \"eastmedia\"",
        "account = 'e'\napi_url = 'ftp://media.example'",
        &["sites.east.media.api_url", "http"],
    ),
    ("key = \"media key\"", "key = ''", &["sites.east.media.key", "empty"]),
    ("account = \"eastmedia\"", "", &["sites.east.media.account: is missing"]),
    ("[rabbitmq]", "[rabbitmq]\ntimeout_seconds = ['x']", &["rabbitmq.timeout_seconds: is a list where"]),
    ("[sites.east]", "[sites.East-1]\nkind = 'ams-v2'\n[sites.east]", &["site name"]),
];

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_its_key_the_problem_and_exit_code_64() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("settings.toml");
    for (good, bad, named) in WRONG {
        let text = GOOD.replacen(good, bad, 1);
        assert_ne!(text, GOOD, "nothing was replaced: {good}");
        std::fs::write(&file, text)?;
        let output = run_once(&file, &["run"]).await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{bad}\n{errors}");
        for word in named {
            assert!(errors.contains(word), "'{word}' is not named for {bad}\n{errors}");
        }
        assert!(!errors.contains("hunter"), "a secret is in the error\n{errors}");
        assert!(errors.lines().count() <= 2, "more than the problem is printed\n{errors}");
    }
    Ok(())
}

#[tokio::test]
async fn all_problems_are_told_at_once_and_a_missing_file_by_its_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, GOOD.replace("[\"east\"]", "[\"south\"]").replace("key = \"media key\"", ""))?;
    let output = run_once(&file, &["check"]).await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("sites.east.media.key") && errors.contains("routes.west.replicas"), "{errors}");

    let output = run_once(Path::new("/nowhere/settings.toml"), &["run"]).await?;
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/settings.toml"));
    Ok(())
}

#[tokio::test]
async fn a_worker_without_broker_or_route_says_what_is_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("settings.toml");
    for (text, key) in
        [("".to_owned(), "rabbitmq.url"), (GOOD.replace("[routes.west]\nreplicas = [\"east\"]", ""), "routes")]
    {
        std::fs::write(&file, text)?;
        let output = run_once(&file, &["run"]).await?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.starts_with(key), "{errors}");
    }
    Ok(())
}

#[test]
fn the_example_for_production_is_good_but_for_its_secrets() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/production.toml");
    let folder = tempfile::tempdir()?;
    let secrets = folder.path().to_str().context("odd folder")?;
    let text = std::fs::read_to_string(path)?.replace("/run/secrets", secrets);
    for name in
        ["west-media-key", "west-storage-key", "north-media-key", "north-storage-key", "us-media-key", "us-storage-key"]
    {
        std::fs::write(folder.path().join(name), "a2V5")?;
    }
    std::fs::write(folder.path().join("rabbitmq-url"), "amqps://worker:secret@rabbitmq.example:5671/media")?;
    let settings = load_text(&text, &[])??;
    assert_eq!((settings.sites.len(), settings.routes().len()), (3, 1));
    Ok(())
}

#[test]
fn the_reference_names_every_key_that_there_is() -> Result<()> {
    let reference = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.toml"))?;
    let site = "region = 'r'\nstreaming_url = 'https://s.example/'\n";
    let text = GOOD.replace("kind = \"ams-v2\"\n", &format!("kind = \"ams-v2\"\n{site}"));
    let text = text.replace("account = \"eaststorage\"", "account = 'e'\nblob_url = 'https://b.example/'");
    let lines = load_text(&text, &[])??.to_lines();
    assert!(lines.len() > 30, "{lines:?}");
    for line in &lines {
        let key = line.split(" = ").next().and_then(|key| key.rsplit('.').next()).context("no key")?;
        let is_there = reference.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} ")))
            || reference.contains(&format!("# {key}_file "));
        assert!(is_there, "config/default.toml does not explain '{key}'");
    }
    Ok(())
}

#[test]
fn what_is_printed_at_the_start_holds_no_secret() -> Result<()> {
    let printed = load_text(GOOD, &[])??.to_lines().join("\n");
    for secret in ["hunter2", "0075", "media key", "c3RvcmFnZSBrZXk="] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("sites.west.media.key = \"[redacted]\"") && printed.contains("worker:redacted@"));
    Ok(())
}

#[test]
fn nothing_but_the_defaults_is_needed_to_load() -> Result<()> {
    let settings = load(None, HashMap::new())?;
    assert!(settings.sites.is_empty() && settings.rabbitmq.url.is_none());
    Ok(())
}
