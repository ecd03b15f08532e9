//! Alerts and dashboards: of metrics that there are, each alert tested and with a section in the runbook that names real commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::text;
use crate::support::run_once;

const ALERTS: &str = "prometheus/alerts.yml";

/// The alerts and where their way out is described.
fn alerts() -> Result<BTreeMap<String, String>> {
    let (mut found, mut name) = (BTreeMap::new(), None);
    for line in text(ALERTS)?.lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            name = Some(alert.to_owned());
        } else if let Some(url) = line.strip_prefix("runbook_url: ") {
            found.insert(name.take().context("a way out of no alert")?, url.to_owned());
        }
    }
    ensure!(name.is_none(), "{name:?} has no runbook_url");
    Ok(found)
}

#[test]
fn every_alert_has_a_section_in_the_runbook_and_a_test_in_which_it_comes_and_goes() -> Result<()> {
    let (alerts, runbook, tests) = (alerts()?, text("RUNBOOK.md")?, text("prometheus/alerts.test.yml")?);
    assert!(alerts.len() >= 16, "{alerts:?}");
    for (alert, url) in &alerts {
        assert_eq!(*url, format!("RUNBOOK.md#{}", alert.to_lowercase()));
        assert!(runbook.contains(&format!("\n## {alert}\n")), "deploy/RUNBOOK.md says nothing of {alert}");
        let told = |exp_alerts| tests.contains(&format!("alertname: {alert}\n        exp_alerts:{exp_alerts}"));
        assert!(told("\n") && told(" []"), "{alert} is not tested to come and to go");
    }
    for section in runbook.lines().filter_map(|line| line.strip_prefix("## StreamReplicator")) {
        assert!(alerts.contains_key(&format!("StreamReplicator{section}")), "no alert leads to {section}");
    }
    Ok(())
}

#[test]
fn the_rule_for_kubernetes_is_made_of_the_same_alerts() -> Result<()> {
    let rule = text("kubernetes/monitoring/prometheus-rule.yaml")?;
    let (_, spec) = rule.split_once("\nspec:\n").context("no spec")?;
    let indented = |line: &str| if line.is_empty() { String::from("\n") } else { format!("  {line}\n") };
    let alerts: String = text(ALERTS)?.lines().filter(|line| !line.starts_with('#')).map(indented).collect();
    assert!(spec == alerts, "run deploy/prometheus/to-kubernetes.sh");
    Ok(())
}

/// The words in a text that begin like our metrics.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("stream_replicator_")).collect()
}

#[test]
fn what_is_asked_for_is_what_the_worker_tells() -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/metrics/mod.rs");
    let source = std::fs::read_to_string(source)?;
    let known = metrics(&source);
    for name in [ALERTS, "prometheus/alerts.test.yml", "grafana/stream-replicator.json"] {
        let shipped = text(name)?;
        let asked = metrics(&shipped);
        assert!(asked.len() > 10, "{name} asks for {asked:?}");
        for metric in asked {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
            assert!(known.contains(metric) || base.is_some_and(|base| known.contains(base)), "{name}: {metric}");
        }
    }
    Ok(())
}

/// Commands of ours that the runbook names, without the program's name.
fn commands(runbook: &str) -> Vec<&str> {
    let pieces = runbook.lines().flat_map(|line| match line.strip_prefix("    ") {
        Some(code) => vec![code],
        None => line.split('`').skip(1).step_by(2).collect(),
    });
    let ours = |code| {
        let (before, command) = str::split_once(code, "stream-replicator ")?;
        let begins = before.is_empty() || before.starts_with("STREAM_REPLICATOR_");
        let command = if begins { command } else { code.split_once(" -- stream-replicator ")?.1 };
        command.split('#').next()
    };
    pieces.filter_map(ours).collect()
}

#[tokio::test]
async fn every_command_in_the_runbook_is_one_of_ours() -> Result<()> {
    let (runbook, no_config) = (text("RUNBOOK.md")?, Path::new("/nowhere"));
    let commands = commands(&runbook);
    assert!(commands.len() > 20, "{commands:?}");
    let mut helps: BTreeMap<Vec<&str>, String> = BTreeMap::new();
    for command in commands {
        let words: Vec<_> = command.split_whitespace().collect();
        let is_name = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
        let mut names: Vec<_> = words.iter().take(2).take_while(is_name).copied().collect();
        names.retain(|name| !name.starts_with('-'));
        if !helps.contains_key(&names) {
            let arguments: Vec<_> = names.iter().copied().chain(["--help"]).collect();
            let output = run_once(no_config, &arguments).await?;
            ensure!(output.status.success(), "stream-replicator {command}: {output:?}");
            helps.insert(names.clone(), String::from_utf8(output.stdout)?);
        }
        for flag in words.iter().filter(|word| word.starts_with("--")) {
            ensure!(
                helps[&names].contains(&format!("{flag} ")) || helps[&names].contains(&format!("{flag}\n")),
                "{command}"
            );
        }
    }
    Ok(())
}
