//! A real Prometheus (Debian's package) with the shipped configuration and alerts, made quick; and what it knows.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::text;
use crate::support::eventually;

/// A running Prometheus; killed when dropped.
pub struct Prometheus {
    _process: Child,
    folder: TempDir,
    url: String,
}

/// A port that nobody has at this moment.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The alerts as they are shipped, but none waits.
fn impatient(alerts: &str) -> Result<String> {
    let line = |line: &str| match line.split_once("for: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}for: 0s\n"),
        _ => format!("{line}\n"),
    };
    let quick: String = alerts.lines().map(line).collect();
    ensure!(quick.matches("for: 0s").count() >= 10, "the alerts look different: {quick}");
    Ok(quick)
}

/// What is shipped with another text in one place.
fn changed(shipped: &str, from: &str, to: &str) -> Result<String> {
    ensure!(shipped.contains(from), "prometheus.yml has no '{from}'");
    Ok(shipped.replace(from, to))
}

impl Prometheus {
    /// Scrapes a worker and a broker every second, at these addresses (`host:port`).
    pub async fn start(worker: &str, broker: &str) -> Result<Self> {
        let (folder, url) = (tempfile::tempdir()?, format!("127.0.0.1:{}", free_port()?));
        let config = changed(&text("prometheus/prometheus.yml")?, "worker:9464", worker)?;
        let config = changed(&changed(&config, "rabbitmq:15692", broker)?, "_interval: 15s", "_interval: 1s")?;
        std::fs::write(folder.path().join("prometheus.yml"), config)?;
        std::fs::write(folder.path().join("alerts.yml"), impatient(&text("prometheus/alerts.yml")?)?)?;
        let mut command = Command::new("prometheus");
        command.arg("--config.file=prometheus.yml").arg("--storage.tsdb.path=data").current_dir(folder.path());
        command.arg(format!("--web.listen-address={url}"));
        let log = std::fs::File::create(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        let process = command.spawn().context("prometheus cannot be run: deploy/check.sh installs it")?;
        let this = Self { _process: process, folder, url: format!("http://{url}") };
        let ready = || async {
            let answer = reqwest::get(format!("{}/-/ready", this.url)).await;
            Ok(answer.ok().filter(|answer| answer.status().is_success()).map(drop))
        };
        eventually("Prometheus", ready).await.with_context(|| this.log())?;
        Ok(this)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url = url::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), query)?;
        let answer: Value = serde_json::from_str(&reqwest::get(url).await?.text().await?)?;
        ensure!(answer["status"] == "success", "{query:?}: {answer}");
        Ok(answer["data"].clone())
    }

    /// The values of a query now that are numbers, one for each series.
    pub async fn query(&self, query: &str) -> Result<Vec<f64>> {
        let data = self.ask("query", &[("query", query)]).await?;
        let all = data["result"].as_array().context("no list")?;
        let value = |series: &Value| series["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
        Ok(all.iter().filter_map(value).filter(|value| value.is_finite()).collect())
    }

    /// The alerts that fire now.
    pub async fn firing(&self) -> Result<BTreeSet<String>> {
        let data = self.ask("alerts", &[]).await?;
        let all = data["alerts"].as_array().context("no list")?.iter().filter(|alert| alert["state"] == "firing");
        Ok(all.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect())
    }

    /// Waits until an alert fires, or does not.
    pub async fn alerts(&self, name: &str, fires: bool) -> Result<()> {
        let look = || async { Ok((self.firing().await?.contains(name) == fires).then_some(())) };
        eventually(&format!("{name} fires: {fires}"), look).await.with_context(|| self.log())
    }

    /// Waits until a query has an answer that is this.
    pub async fn says(&self, query: &str, is_it: impl Fn(f64) -> bool) -> Result<()> {
        let look = || async { Ok(self.query(query).await?.into_iter().any(&is_it).then_some(())) };
        eventually(query, look).await.with_context(|| self.log())
    }
}

/// Runs promtool with this on its standard input.
pub async fn promtool(arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("promtool cannot be run: deploy/check.sh installs it")?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes()).await?;
    Ok(child.wait_with_output().await?)
}

/// Titles and queries of a dashboard's panels, with the variables filled in.
pub fn dashboard_queries(dashboard: &Path) -> Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(dashboard)?)?;
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().context("no expr")?;
            let query = query.replace("$__rate_interval", "2m").replace("$prefix", "replication");
            found.push((panel["title"].as_str().context("no title")?.to_owned(), query));
        }
    }
    Ok(found)
}
