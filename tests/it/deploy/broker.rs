//! The broker of the compose file: its settings, the shipped definitions, users who get passwords; the worker's least rights do.

use anyhow::{Context, Result, ensure};
use testbed::process::{RabbitMq, RabbitOptions};

use super::{path, text};
use crate::support::{Worker, run_once};

/// Nothing is asked of these sites.
const SITES: &str = "[sites.west]\nkind = 'static-origin'\n[sites.west.storage]\naccount = 'west'\nkey = 'a2V5'\n\
    [sites.east]\nkind = 'static-origin'\n[sites.east.storage]\naccount = 'east'\nkey = 'a2V5'\n[routes.west]\nreplicas = ['east']\n";

/// The shipped rabbitmq.conf, but for its ports.
fn conf() -> Result<String> {
    let shipped = text("compose/rabbitmq.conf")?;
    let lines = shipped.lines().filter(|line| !line.contains("port = ") && !line.starts_with("listeners"));
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// What the compose file's one-shot service says to rabbitmqctl.
async fn set_up(node: &RabbitMq) -> Result<()> {
    let compose = text("compose/compose.yaml")?;
    let says: Vec<_> = compose.lines().filter_map(|line| line.trim().strip_prefix("rabbitmqctl -q ")).collect();
    let words: Vec<_> = says.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(words, ["import_definitions", "change_password", "delete_user"]);
    let definitions = path("rabbitmq/definitions.json");
    node.ctl(&["import_definitions", definitions.to_str().context("odd path")?]).await?;
    // each of these takes seconds, so that the other users are left out
    node.ctl(&["change_password", "replication-worker", "secret"]).await.map(drop)
}

#[tokio::test]
async fn the_broker_of_compose_is_one_that_a_worker_with_the_least_rights_consumes_from() -> Result<()> {
    let options = RabbitOptions { management: false, extra_conf: conf()?, ..RabbitOptions::default() };
    let node = RabbitMq::start(options).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    let url = format!("amqp://replication-worker:secret@127.0.0.1:{}/%2f", node.amqp_port());
    std::fs::write(&config, format!("[rabbitmq]\nurl = '{url}'\ntopology = 'check'\n{SITES}"))?;
    let refused = run_once(&config, &["topology", "check"]).await?;
    ensure!(!refused.status.success(), "there is no such user yet: {refused:?}");

    set_up(&node).await?;
    let worker = Worker::start(&config).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    // it is set up anew with every `up`
    set_up(&node).await?;
    let worker = Worker::start(&config).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}
