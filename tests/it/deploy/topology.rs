//! The broker's resources for Kubernetes: what `topology export` says, for RabbitMQ's messaging topology operator.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::text;
use crate::support::run_once;

const SHIPPED: &str = "kubernetes/rabbitmq/topology.yaml";
const HEAD: &str = "# What `stream-replicator topology export` says, for RabbitMQ's messaging topology operator; a test keeps it so.\n\
    # Each user's name and password are in a Secret of the user's name (keys `username` and `password`), made beforehand.\n";

/// A resource of the operator's API, rabbitmq.com/v1beta1: JSON values are YAML too.
fn resource(yaml: &mut String, kind: &str, name: &str, spec: Value) -> Result<()> {
    let name = name.to_lowercase();
    ensure!(
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)),
        "no name for Kubernetes: {name}"
    );
    write!(yaml, "---\napiVersion: rabbitmq.com/v1beta1\nkind: {kind}\nmetadata:\n  name: {name}\nspec:\n")?;
    for (key, value) in spec.as_object().context("no object")? {
        match value.as_object() {
            Some(fields) if fields.is_empty() => {}
            Some(fields) => {
                writeln!(yaml, "  {key}:")?;
                fields.iter().try_for_each(|(key, value)| writeln!(yaml, "    {key}: {value}"))?;
            }
            None => writeln!(yaml, "  {key}: {value}")?,
        }
    }
    yaml.push_str("  rabbitmqClusterReference:\n    name: rabbitmq\n");
    Ok(())
}

/// The same definitions as resources.
fn resources(definitions: &Value) -> Result<String> {
    let mut yaml = HEAD.to_owned();
    let all = |what: &str| definitions[what].as_array().cloned().with_context(|| format!("no {what}"));
    let name = |one: &Value, key: &str| one[key].as_str().map(str::to_owned).with_context(|| format!("no {key}"));
    for one in all("users")? {
        let secret = json!({ "importCredentialsSecret": { "name": one["name"] } });
        resource(&mut yaml, "User", &name(&one, "name")?, secret)?;
    }
    for one in all("permissions")? {
        let permissions = json!({ "configure": one["configure"], "write": one["write"], "read": one["read"] });
        let spec =
            json!({ "vhost": one["vhost"], "userReference": { "name": one["user"] }, "permissions": permissions });
        resource(&mut yaml, "Permission", &name(&one, "user")?, spec)?;
    }
    for (kind, what) in [("Exchange", "exchanges"), ("Queue", "queues")] {
        for mut one in all(what)? {
            // The operator has a field of its own for the type of a queue.
            let type_argument = one["arguments"].as_object_mut().and_then(|all| all.shift_remove("x-queue-type"));
            let spec = json!({
                "name": one["name"], "vhost": one["vhost"], "type": type_argument.unwrap_or_else(|| one["type"].clone()),
                "durable": one["durable"], "autoDelete": one["auto_delete"], "arguments": one["arguments"],
            });
            resource(&mut yaml, kind, &name(&one, "name")?, spec)?;
        }
    }
    for one in all("bindings")? {
        let spec = json!({
            "vhost": one["vhost"], "source": one["source"], "destination": one["destination"],
            "destinationType": one["destination_type"], "routingKey": one["routing_key"], "arguments": one["arguments"],
        });
        let both = format!("{}-{}", name(&one, "source")?, name(&one, "destination")?);
        resource(&mut yaml, "Binding", &both, spec)?;
    }
    for one in all("policies")? {
        let spec = json!({
            "name": one["name"], "vhost": one["vhost"], "pattern": one["pattern"], "applyTo": one["apply-to"],
            "priority": one["priority"], "definition": one["definition"],
        });
        resource(&mut yaml, "Policy", &name(&one, "name")?, spec)?;
    }
    Ok(yaml)
}

#[tokio::test]
async fn the_resources_for_kubernetes_are_what_topology_export_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, "")?;
    let output = run_once(&config, &["topology", "export"]).await?;
    ensure!(output.status.success(), "{output:?}");
    let now = resources(&serde_json::from_slice(&output.stdout)?)?;
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("topology.yaml");
    std::fs::write(&new, &now)?;
    assert!(text(SHIPPED)? == now, "cp {} deploy/{SHIPPED}", new.display());
    Ok(())
}
