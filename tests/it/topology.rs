//! `topology apply`, `check` and `export`: what is made, what is told, what another broker makes of the export.

mod exchange;
mod export;
mod migrate;

use std::process::Output;

use anyhow::{Context, Result};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};
use testbed::process::{Vhost, shared};

use crate::support::run_once;

/// A settings file for a virtual host, and the commands with it.
struct Scene {
    vhost: Vhost,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn begin() -> Result<Self> {
        let scene = Self { vhost: shared().await?.vhost().await?, folder: tempfile::tempdir()? };
        scene.write_url(&scene.vhost.amqp_url(), "")?;
        Ok(scene)
    }

    fn write_url(&self, url: &str, more: &str) -> Result<()> {
        let text = format!("[rabbitmq]\nurl = '{url}'\nretry_delays_seconds = [5, 120]\n{more}");
        Ok(std::fs::write(self.folder.path().join("settings.toml"), text)?)
    }

    async fn topology(&self, arguments: &[&str]) -> Result<Output> {
        let arguments: Vec<_> = ["topology"].iter().chain(arguments).copied().collect();
        run_once(&self.folder.path().join("settings.toml"), &arguments).await
    }

    /// Standard output, standard error and exit code.
    async fn told(&self, arguments: &[&str]) -> Result<(String, String, Option<i32>)> {
        let output = self.topology(arguments).await?;
        Ok((String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?, output.status.code()))
    }

    /// The answer of `check --json`, and its exit code.
    async fn check(&self) -> Result<(Value, Option<i32>)> {
        let (answer, _, code) = self.told(&["check", "--json"]).await?;
        Ok((serde_json::from_str(&answer).with_context(|| answer)?, code))
    }

    /// A user of that name who may use everything and configure what fits the expression.
    async fn user(&self, configure: &str) -> Result<()> {
        let name = format!("{}-user", self.vhost.name());
        self.vhost.broker().add_user(&name, "hunter2", configure, ".*", ".*", self.vhost.name()).await?;
        self.write_url(&self.vhost.broker().amqp_url_as(&name, "hunter2", self.vhost.name()), "")
    }

    /// Somebody else's channel.
    async fn channel(&self) -> Result<Channel> {
        let connection = Connection::connect(&self.vhost.amqp_url(), ConnectionProperties::default()).await?;
        Ok(connection.create_channel().await?)
    }

    /// What somebody else has declared before us: a tier that waits too long, and our outgoing exchange of another type.
    async fn declare_others(&self) -> Result<()> {
        let channel = self.channel().await?;
        let text = |text: &str| AMQPValue::LongString(text.into());
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-dead-letter-exchange".into(), text("replication.retry"));
        arguments.insert("x-dead-letter-routing-key".into(), text("now"));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000_000));
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(999));
        declare_queue(&channel, "replication.retry.5s", arguments).await?;
        declare_exchange(&channel, "media.replication", ExchangeKind::Direct).await
    }
}

async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<()> {
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), durable, arguments).await?;
    Ok(())
}

async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    Ok(channel.exchange_declare(name.into(), kind, durable, FieldTable::default()).await?)
}

/// The names of the things in that state.
fn in_state<'a>(answer: &'a Value, state: &str) -> Vec<&'a str> {
    let things = answer["things"].as_array().into_iter().flatten();
    things.filter(|thing| thing["state"] == state).filter_map(|thing| thing["name"].as_str()).collect()
}

const THINGS: usize = 12;

#[tokio::test]
async fn apply_makes_what_is_missing_and_check_tells_before_and_after() -> Result<()> {
    let scene = Scene::begin().await?;
    let (answer, code) = scene.check().await?;
    assert_eq!(
        (in_state(&answer, "missing").len(), answer["complete"].as_bool(), code),
        (THINGS, Some(false), Some(1))
    );
    let (told, _, code) = scene.told(&["check"]).await?;
    assert_eq!(code, Some(1));
    assert!(told.contains("missing       queue     replication.retry.2m\n"), "{told}");
    assert!(told.contains("not complete: 0 ok, 12 missing, 0 different, 0 not compared"), "{told}");
    assert_eq!(scene.vhost.queue_depth("replication.work").await?, None, "check has declared something");

    let (told, _, code) = scene.told(&["apply"]).await?;
    assert_eq!((told.matches("\nmade ").count() + 1, code), (THINGS, Some(0)), "{told}");
    assert!(told.ends_with("12 made, 0 were there; 8 bindings are there\n"), "{told}");
    let (told, _, code) = scene.told(&["apply"]).await?;
    assert!(told.ends_with("0 made, 12 were there; 8 bindings are there\n") && code == Some(0), "{told}");

    let (answer, code) = scene.check().await?;
    assert_eq!((in_state(&answer, "ok").len(), answer["complete"].as_bool(), code), (THINGS - 1, Some(true), Some(0)));
    assert_eq!(in_state(&answer, "not-compared"), ["media.events"]);
    assert_eq!(answer["things"][1], json!({ "kind": "exchange", "name": "replication.retry", "state": "ok" }));
    assert!(answer["not_checked"].to_string().contains("bindings"), "{answer}");
    let (told, _, code) = scene.told(&["check"]).await?;
    assert!(told.contains("complete: 11 ok, 0 missing, 0 different, 1 not compared\n") && code == Some(0), "{told}");
    assert!(told.contains("not checked, as AMQP does not tell:\n- whether our bindings"), "{told}");
    Ok(())
}

#[tokio::test]
async fn what_is_different_is_named_with_the_way_out_and_nothing_is_made_beside_it() -> Result<()> {
    let scene = Scene::begin().await?;
    scene.declare_others().await?;
    let (answer, code) = scene.check().await?;
    assert_eq!((in_state(&answer, "different"), code), (vec!["media.replication", "replication.retry.5s"], Some(1)));
    let things = answer["things"].as_array().context("no things")?;
    for (name, detail, step) in [
        ("replication.retry.5s", "x-message-ttl", "topology migrate replication.retry.5s"),
        ("media.replication", "inequivalent arg 'type'", "rabbitmqctl export_definitions"),
    ] {
        let thing = things.iter().find(|thing| thing["name"] == name).context("not there")?;
        assert!(thing["detail"].to_string().contains(detail), "{thing}");
        assert!(thing["advice"].to_string().contains(step), "{thing}");
    }
    let (told, _, code) = scene.told(&["check"]).await?;
    // Words of commands are never cut, and names of these virtual hosts are long.
    let fits = |line: &str| line.chars().count() <= 80 || !line.trim().contains(' ');
    assert!(told.lines().all(fits), "{told}");
    assert!(told.contains("different     queue     replication.retry.5s\n") && code == Some(1), "{told}");
    assert!(told.contains("one difference of a thing at a time"), "{told}");

    let (told, errors, code) = scene.told(&["apply"]).await?;
    assert_eq!((told.as_str(), code), ("", Some(1)), "{errors}");
    assert!(errors.contains("replication.retry.5s") && errors.contains("nothing was made"), "{errors}");
    assert!(errors.contains("'x-message-ttl'") && errors.contains("topology migrate"), "{errors}");
    assert_eq!(scene.vhost.queue_depth("replication.work").await?, None, "something was made");
    Ok(())
}

#[tokio::test]
async fn without_the_permission_to_configure_nothing_is_compared_and_that_is_said() -> Result<()> {
    let scene = Scene::begin().await?;
    assert_eq!(scene.topology(&["apply"]).await?.status.code(), Some(0));
    scene.user("").await?;
    let (answer, code) = scene.check().await?;
    assert_eq!(
        (in_state(&answer, "not-compared").len(), answer["complete"].as_bool(), code),
        (THINGS, Some(true), Some(0))
    );
    assert!(answer["things"][2]["detail"].to_string().contains("permission to configure"), "{answer}");
    let (_, errors, code) = scene.told(&["apply"]).await?;
    assert!(errors.contains("ACCESS_REFUSED") && code == Some(1), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");

    // Whoever may configure some of it compares that much.
    scene.user("^replication\\.work$").await?;
    let (answer, code) = scene.check().await?;
    assert_eq!((in_state(&answer, "ok"), code), (vec!["replication.work"], Some(0)));
    Ok(())
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_is_a_failure_and_a_missing_address_a_wrong_setting() -> Result<()> {
    let scene = Scene::begin().await?;
    scene.write_url("amqp://u:hunter2@127.0.0.1:1/%2f", "")?;
    for command in [&["apply"] as &[_], &["check"], &["check", "--json"]] {
        let (told, errors, code) = scene.told(command).await?;
        assert_eq!((told.as_str(), code), ("", Some(1)), "{errors}");
        assert!(errors.contains("127.0.0.1:1") && !errors.contains("hunter2"), "{errors}");
    }
    std::fs::write(scene.folder.path().join("settings.toml"), "")?;
    for command in ["apply", "check"] {
        let (_, errors, code) = scene.told(&[command]).await?;
        assert!(errors.starts_with("rabbitmq.url: is missing") && code == Some(64), "{errors}");
    }
    assert_eq!(scene.told(&["destroy"]).await?.2, Some(64));
    Ok(())
}
