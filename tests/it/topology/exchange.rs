//! An exchange of another type is replaced by the steps that `topology check` gives, and the bindings of others survive.

use anyhow::{Context, Result};
use lapin::options::{ExchangeDeleteOptions, QueueBindOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};
use serde_json::Value;
use testbed::amqp::{Amqp, Outgoing};
use testbed::process::{RabbitMq, RabbitOptions};

use super::{declare_exchange, declare_queue, in_state};
use crate::support::{eventually, run_once};

#[tokio::test]
async fn the_steps_for_an_exchange_bring_the_bindings_of_others_back() -> Result<()> {
    let node = RabbitMq::start(RabbitOptions { management: false, ..RabbitOptions::default() }).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, format!("[rabbitmq]\nurl = '{}'\n", node.amqp_url("/")))?;
    let topology = async |arguments: &[&str]| run_once(&config, &[&["topology"], arguments].concat()).await;
    let checked =
        async || serde_json::from_slice::<Value>(&topology(&["check", "--json"]).await?.stdout).context("no JSON");

    let connection = Connection::connect(&node.amqp_url("/"), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    declare_exchange(&channel, "media.replication", ExchangeKind::Fanout).await?;
    declare_queue(&channel, "cdn", FieldTable::default()).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind("cdn".into(), "media.replication".into(), "media.asset.#".into(), options, none).await?;
    let answer = checked().await?;
    assert_eq!(in_state(&answer, "different"), ["media.replication"]);
    let things = answer["things"].as_array().context("no things")?;
    let steps = &things.iter().find(|thing| thing["state"] == "different").context("none")?["advice"];
    let expected = [
        "rabbitmqctl export_definitions before.json",
        "curl -u ADMIN -X DELETE http://127.0.0.1:15672/api/exchanges/%2F/media.replication",
        "stream-replicator topology apply",
        "rabbitmqctl import_definitions before.json",
    ];
    for (step, expected) in (1..).zip(expected) {
        assert!(steps[step]["command"] == expected, "{steps:#}");
    }

    // The steps, in their order.
    let file = folder.path().join("before.json");
    let file = file.to_str().context("no path")?;
    node.ctl(&["export_definitions", file]).await?;
    channel.exchange_delete("media.replication".into(), ExchangeDeleteOptions::default()).await?;
    assert_eq!(topology(&["apply"]).await?.status.code(), Some(0));
    node.ctl(&["import_definitions", file]).await?;
    assert_eq!(checked().await?["complete"], true);
    let amqp = Amqp::connect(&node.amqp_url("/")).await?;
    amqp.publish("media.replication", "media.asset.x", Outgoing { body: "event".into(), ..Outgoing::default() })
        .await?;
    eventually("the event at the subscriber", || amqp.take("cdn")).await?;

    // The default virtual host keeps its description under an import of our export.
    let export = topology(&["export"]).await?.stdout;
    std::fs::write(file, export)?;
    let before = node.ctl(&["list_vhosts", "name", "description", "tags"]).await?;
    node.ctl(&["import_definitions", file]).await?;
    assert_eq!(node.ctl(&["list_vhosts", "name", "description", "tags"]).await?, before);
    Ok(())
}
