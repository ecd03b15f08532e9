//! `topology export`: imported by `rabbitmqctl` it makes a broker at which a worker with the least rights works.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lapin::{Connection, ConnectionProperties};
use serde_json::{Value, json};
use testbed::amqp::{Amqp, Outgoing};
use testbed::process::{Broker, RabbitMq, start_rabbitmq};

use super::{Scene, THINGS, in_state};
use crate::support::schemas::our_events;
use crate::support::{World, ensure_one_replica, eventually, next_event, run_once};

const VHOST: &str = "film & tv";

/// Exports with these settings; gives the definitions as text.
async fn export(config: &Path, more: &[&str]) -> Result<String> {
    let arguments: Vec<_> = ["topology", "export"].iter().chain(more).copied().collect();
    let output = run_once(config, &arguments).await?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn the_definitions_that_are_shipped_are_those_of_the_defaults() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, "")?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rabbitmq/definitions.json");
    let now = export(&config, &[]).await?;
    assert!(std::fs::read_to_string(shipped)? == now, "run `stream-replicator topology export` into it");
    assert!(!now.contains("\"password\""));

    let keys = |text: &str| -> Result<Vec<String>> {
        let value: Value = serde_json::from_str(text)?;
        Ok(value.as_object().context("no object")?.keys().cloned().collect())
    };
    let bare = ["exchanges", "queues", "bindings"];
    assert_eq!(keys(&export(&config, &["--without-users", "--without-policies"]).await?)?, bare);
    assert_eq!(keys(&export(&config, &["--without-users"]).await?)?.last().map(String::as_str), Some("policies"));
    Ok(())
}

#[tokio::test]
async fn names_of_the_settings_are_exported_and_fit_nothing_else() -> Result<()> {
    let scene = Scene::begin().await?;
    let names = "prefix = 'a.b|c'\nevents_exchange = 'in+'\noutgoing_exchange = 'out'\n";
    scene.write_url("amqp://u:hunter2@127.0.0.1:1/film%20%26%20tv", names)?;
    let text = export(&scene.folder.path().join("settings.toml"), &[]).await?;
    assert!(!text.contains("hunter2"), "{text}");
    let value: Value = serde_json::from_str(&text)?;
    assert_eq!(value["vhosts"], json!([{ "name": VHOST }]));
    let without = export(&scene.folder.path().join("settings.toml"), &["--without-vhost"]).await?;
    assert!(!without.contains("\"vhosts\"") && without.contains(VHOST), "{without}");
    assert_eq!(value["queues"][1]["arguments"]["x-message-ttl"], 5_000);
    assert_eq!(
        value["permissions"][0],
        json!({
            "user": "a.b|c-worker", "vhost": VHOST, "configure": "",
            "write": r"^(out|a\.b\|c\.retry|a\.b\|c\.dlx)$", "read": r"^a\.b\|c\.work$",
        })
    );
    scene.write_url("amqp://u:hunter2@127.0.0.1:1/", "")?;
    let (_, errors, code) = scene.told(&["export"]).await?;
    assert!(errors.contains("virtual host") && !errors.contains("hunter2") && code == Some(64), "{errors}");
    Ok(())
}

/// Whether that user may read a queue.
async fn may_read(broker: &Broker, user: &str, queue: &str) -> Result<bool> {
    let amqp = Amqp::connect(&broker.amqp_url_as(user, "secret", VHOST)).await?;
    Ok(amqp.take(queue).await.is_ok())
}

#[tokio::test]
async fn a_worker_with_the_least_rights_works_at_a_broker_that_was_told_by_the_export() -> Result<()> {
    let node = start_rabbitmq().await?;
    let world = World::start().await?;
    let text = std::fs::read_to_string(world.config())?;
    let here = format!("url = '{}'", world.vhost.amqp_url());
    let use_url =
        |url: &str| std::fs::write(world.config(), text.replace(&here, &format!("url = '{url}'\ntopology = 'check'")));
    use_url(&node.amqp_url_as("nobody", "yet", VHOST))?;

    let file = world.config().with_file_name("definitions.json");
    std::fs::write(&file, export(&world.config(), &[]).await?)?;
    let import = ["import_definitions", file.to_str().context("no path")?];
    node.ctl(&import).await?;
    for user in ["replication-worker", "replication-operator", "replication-encoder"] {
        let login = Connection::connect(&node.amqp_url_as(user, "", VHOST), ConnectionProperties::default()).await;
        assert!(login.is_err(), "{user} needs no password");
    }
    // A second import changes nothing.
    node.ctl(&import).await?;
    for user in ["replication-worker", "replication-operator", "replication-encoder"] {
        node.ctl(&["change_password", user, "secret"]).await?;
    }
    node.ctl(&["set_permissions", "-p", VHOST, "testbed", ".*", ".*", ".*"]).await?;
    use_url(&node.amqp_url(VHOST))?;
    let (answer, code) = check(&world).await?;
    assert_eq!((in_state(&answer, "not-compared"), code), (vec!["media.events"], Some(0)), "{answer:#}");
    assert_eq!(in_state(&answer, "ok").len() + 1, THINGS);
    assert!(policies_of(&node).await?.contains(&"replication.dead.log replication-log".to_owned()));

    use_url(&node.amqp_url_as("replication-worker", "secret", VHOST))?;
    let (answer, code) = check(&world).await?;
    assert_eq!((in_state(&answer, "not-compared").len(), code), (THINGS, Some(0)), "{answer:#}");
    works_end_to_end(&world, &node).await?;

    for (user, queue, may) in [
        ("replication-worker", "replication.work", true),
        ("replication-worker", "replication.dead", false),
        ("replication-operator", "replication.dead", true),
        ("replication-operator", "replication.work", false),
        ("replication-encoder", "replication.work", false),
    ] {
        assert_eq!(may_read(&node, user, queue).await?, may, "{user} reads {queue}");
    }
    Ok(())
}

/// One asset on its way from the encoder's event to ours, and one message that is parked, each by the user meant for it.
async fn works_end_to_end(world: &World, node: &Broker) -> Result<()> {
    let worker = world.worker().await?;
    worker.logs("no permission to configure: what exists was not compared").await?;
    let listener = Amqp::connect(&node.amqp_url(VHOST)).await?;
    let mut events = our_events(&listener).await?;
    let encoder = Amqp::connect(&node.amqp_url_as("replication-encoder", "secret", VHOST)).await?;
    let send = async |body: Value| {
        let message = Outgoing { body: body.to_string().into(), ..Outgoing::default() };
        encoder.publish("media.events", "media.encoding.finished.test", message).await
    };
    let asset = world.encoded_asset("movie").await?;
    send(json!({ "site": "west", "asset": { "id": asset.id } })).await?;
    send(json!({ "neither": "site nor asset" })).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["type"], "media.asset.replicated.v1", "{event:#}");
    ensure_one_replica(world, &asset.id).await?;
    let operator = Amqp::connect(&node.amqp_url_as("replication-operator", "secret", VHOST)).await?;
    let parked = eventually("a parked message", || operator.take("replication.parked")).await;
    assert_eq!(parked.with_context(|| worker.log())?.json()?["neither"], "site nor asset");
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

async fn check(world: &World) -> Result<(Value, Option<i32>)> {
    let output = run_once(&world.config(), &["topology", "check", "--json"]).await?;
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((serde_json::from_slice(&output.stdout).with_context(told)?, output.status.code()))
}

/// `<queue> <policy>` of every queue that a policy is for.
async fn policies_of(node: &RabbitMq) -> Result<Vec<String>> {
    let list = node.ctl(&["list_queues", "-p", VHOST, "--quiet", "--no-table-headers", "name", "policy"]).await?;
    Ok(list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}
