//! The settings files that are shipped, read by the program's own loader, and what must fit them: times to stop, secrets, ports.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use stream_replicator::settings::load;

use super::{load_shipped, path, secret_files, text};

/// How much longer than the grace a worker may need for what follows it (the worker's `CANCEL_PATIENCE`, twice).
const AFTER_GRACE: u64 = 20;

/// The values of a key in a unit file.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_gives_the_worker_its_secrets_and_the_time_to_stop() -> Result<()> {
    let (unit, file) = (text("systemd/stream-replicator.service")?, "systemd/settings.toml");
    let settings = load_shipped(file)?;
    ensure!(settings.routes().len() == 1 && settings.rabbitmq.url.is_some());
    let stop: u64 = values(&unit, "TimeoutStopSec").first().context("no TimeoutStopSec")?.parse()?;
    ensure!(stop >= settings.worker.grace_seconds + AFTER_GRACE, "{stop} s");
    // A delivery that is stuck shows a minute after its time; the watchdog must not be the shorter one of the two.
    let mut credentials: Vec<_> =
        values(&unit, "LoadCredential").iter().filter_map(|one| one.split(':').next()).collect();
    let text = text(file)?;
    let folder = "/run/credentials/stream-replicator.service/";
    let mut wanted: Vec<_> = secret_files(&text).into_iter().filter_map(|file| file.strip_prefix(folder)).collect();
    credentials.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(credentials, wanted);
    Ok(())
}

/// The number after a key, wherever it is in a file.
fn number(text: &str, key: &str) -> Result<u64> {
    let (_, rest) = text.split_once(&format!("{key}: ")).with_context(|| format!("no {key}"))?;
    Ok(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?)
}

#[test]
fn kubernetes_gives_the_worker_its_settings_and_the_time_to_stop() -> Result<()> {
    let (deployment, file) = (text("kubernetes/base/deployment.yaml")?, "kubernetes/base/settings.toml");
    let settings = load_shipped(file)?;
    let stop = number(&deployment, "terminationGracePeriodSeconds")?;
    ensure!(stop >= settings.worker.grace_seconds + AFTER_GRACE, "{stop} s");
    let port = u64::from(settings.admin.listen.context("no probes")?.port());
    assert_eq!(number(&deployment, "containerPort")?, port);
    let settings_text = text(file)?;
    for secret in secret_files(&settings_text) {
        ensure!(secret.starts_with("/run/secrets/stream-replicator/"), "{secret} is not mounted");
    }
    // what is asked of the broker is what the worker consumes
    let queue = format!("queueName: {}.work\n", settings.rabbitmq.prefix);
    ensure!(text("kubernetes/autoscaling/scaled-object.yaml")?.contains(&queue), "another queue");
    let scaled_down =
        number(&text("kubernetes/autoscaling/scaled-object.yaml")?, "value: 1\n              periodSeconds")?;
    ensure!(scaled_down >= stop, "a worker goes before the last one has gone: {scaled_down} s");
    Ok(())
}

#[test]
fn compose_gives_the_worker_its_settings_its_secrets_and_the_time_to_stop() -> Result<()> {
    let (compose, file) = (text("compose/compose.yaml")?, "compose/settings.toml");
    let settings = load_shipped(file)?;
    let (_, worker) = compose.split_once("\n  worker:\n").context("no worker")?;
    let (worker, _) = worker.split_once("\n\n  ").context("no end of the worker")?;
    let stop = number(worker, "stop_grace_period")?;
    ensure!(stop >= settings.worker.grace_seconds + AFTER_GRACE, "{stop} s");
    let given = worker.lines().find_map(|line| line.trim().strip_prefix("secrets: [")).context("no secrets")?;
    let mut given: Vec<_> =
        given.trim_end_matches(']').split(", ").map(|name| format!("/run/secrets/{name}")).collect();
    let settings_text = text(file)?;
    let mut wanted: Vec<_> = secret_files(&settings_text).into_iter().map(str::to_owned).collect();
    given.sort();
    wanted.sort();
    wanted.dedup();
    assert_eq!(given, wanted);
    let port = settings.admin.listen.context("no probes")?.port();
    ensure!(
        compose.contains(&format!("127.0.0.1:{port}:{port}"))
            && text("prometheus/prometheus.yml")?.contains(&format!("worker:{port}"))
    );
    Ok(())
}

#[tokio::test]
async fn the_secrets_that_are_made_for_compose_fit_its_settings_and_are_never_made_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("make-secrets.sh");
    std::fs::copy(path("compose/make-secrets.sh"), &script)?;
    let secrets = folder.path().join("secrets");
    let mut made = Vec::new();
    for _ in 0..2 {
        let output = tokio::process::Command::new("bash").arg(&script).output().await?;
        ensure!(output.status.success(), "{output:?}");
        made.push(std::fs::read_to_string(secrets.join("emulator.json"))?);
    }
    assert_eq!(made[0], made[1]);
    let config: serde_json::Value = serde_json::from_str(&made[0])?;
    let key = std::fs::read_to_string(secrets.join("storage-key"))?;
    assert_eq!(config["accounts"][1]["storage_key"], key.trim());
    let settings = text("compose/settings.toml")?.replace("/run/secrets/", &format!("{}/", secrets.display()));
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, settings)?;
    let settings = load(Some(&file), HashMap::new()).map_err(|error| anyhow::anyhow!("{error}"))?;
    let password = std::fs::read_to_string(secrets.join("rabbitmq-worker-password"))?;
    let url = settings.rabbitmq.url.context("no url")?;
    ensure!(
        url.expose().contains(&format!(":{}@rabbitmq:", password.trim())) && url.problem().is_none(),
        "another password"
    );
    Ok(())
}
