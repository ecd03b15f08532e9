//! `schema`: what it prints is what a consumer can use, by the tools that consumers use.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stream_replicator::events::EventSchema;
use tempfile::TempDir;
use testbed::process::{Diagnostic, validate_asyncapi};

use crate::support::run_once;
use crate::support::schemas::validator;

/// A settings file of its own, and no broker anywhere.
fn settings(text: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, text)?;
    Ok((folder, config))
}

async fn printed(config: &Path, arguments: &[&str]) -> Result<String> {
    let output = run_once(config, arguments).await?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What is wrong with a document, mere information left out.
async fn wrong(document: &Value) -> Result<Vec<Diagnostic>> {
    let mut told = validate_asyncapi(&document.to_string()).await?;
    told.retain(|diagnostic| diagnostic.severity < 2);
    Ok(told)
}

#[tokio::test]
async fn every_schema_is_printed_also_beside_settings_that_do_not_work() -> Result<()> {
    let (_folder, config) = settings("this is no [toml")?;
    let list = printed(&config, &["schema"]).await?;
    let names: Vec<_> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["encoding-finished", "asset-replicated", "asset-replication-failed", "asyncapi"]);
    for (name, schema) in names.iter().zip(EventSchema::ALL) {
        let printed: Value = serde_json::from_str(&printed(&config, &["schema", name]).await?)?;
        assert_eq!((*name, &printed), (schema.name(), &schema.json()));
        validator(&printed)?;
        let line = list.lines().find(|line| line.starts_with(name)).context("not listed")?;
        assert!(line.ends_with(schema.event_type()), "{line}");
    }
    let output = run_once(&config, &["schema", "asyncapi"]).await?;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "its names are the settings'");
    let output = run_once(&config, &["schema", "withdrawn"]).await?;
    let told = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(64) && told.contains("asset-replication-failed"), "{told}");
    Ok(())
}

#[tokio::test]
async fn asyncapis_own_parser_finds_nothing_wrong_with_the_document_of_the_defaults() -> Result<()> {
    let (_folder, config) = settings("")?;
    let document: Value = serde_json::from_str(&printed(&config, &["schema", "asyncapi"]).await?)?;
    let told = wrong(&document).await?;
    assert!(told.is_empty(), "{told:#?}");
    assert_eq!(document["channels"]["assetReplicated"]["bindings"]["amqp"]["exchange"]["name"], "media.replication");
    Ok(())
}

#[tokio::test]
async fn names_of_the_settings_are_in_the_document_and_their_secrets_are_not() -> Result<()> {
    let text = "[rabbitmq]\nurl = 'amqp://u:hunter2@broker.internal:5673/film'\nevents_exchange = 'in'\n\
                outgoing_exchange = 'out'\nbinding_key = 'finished.*.#'\n";
    let (_folder, config) = settings(text)?;
    let text = printed(&config, &["schema", "asyncapi"]).await?;
    assert!(!text.contains("hunter2") && !text.contains("broker.internal"), "{text}");
    let document: Value = serde_json::from_str(&text)?;
    let exchange = |channel: &str| &document["channels"][channel]["bindings"]["amqp"]["exchange"]["name"];
    let names = ["encodingFinished", "assetReplicated", "assetReplicationFailed"].map(exchange);
    assert_eq!(names, ["in", "out", "out"]);
    assert_eq!(document["channels"]["encodingFinished"]["address"], "finished.{word2}.{words3}");
    let told = wrong(&document).await?;
    assert!(told.is_empty(), "{told:#?}");

    // A key that AsyncAPI cannot write down makes no document that its parser refuses.
    let (_folder, config) = settings("rabbitmq.binding_key = 'a?b.#'\n")?;
    let told = wrong(&serde_json::from_str(&printed(&config, &["schema", "asyncapi"]).await?)?).await?;
    assert!(told.is_empty(), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn the_parser_finds_planted_faults() -> Result<()> {
    let (_folder, config) = settings("")?;
    let document: Value = serde_json::from_str(&printed(&config, &["schema", "asyncapi"]).await?)?;
    for (place, value) in [
        ("/info/title", Value::Null),
        ("/channels/assetReplicated/parameters", json!({})),
        ("/channels/assetReplicated/bindings/amqp/exchange/type", json!("queue")),
        ("/operations/announceFailure/messages/0/$ref", json!("#/components/messages/assetReplicated")),
        ("/components/schemas/replicatedData/properties/urls/type", json!("list")),
    ] {
        let mut planted = document.clone();
        *planted.pointer_mut(place).with_context(|| format!("no {place}"))? = value;
        assert!(wrong(&planted).await?.iter().any(|told| told.severity == 0), "{place}");
    }
    Ok(())
}
