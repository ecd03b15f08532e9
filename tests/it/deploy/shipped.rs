//! The settings files that are shipped, read by the program's own loader, and what must fit them: times to stop, secrets, ports.

use anyhow::{Context, Result, ensure};

use super::{load_shipped, secret_files, text};

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
