//! The cloud model as a process of its own, told and asked over its control API.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::cloud::{Comparison, Costs, Counters, Differences, Logged, Workload};
use crate::process::ACCOUNTS;
use crate::storage::http_client_builder;

/// A running model; dropping it ends it. It also ends when we die, for then its standard input closes.
pub(super) struct ModelProcess {
    child: Child,
    _input: ChildStdin,
    endpoint: Url,
    http: reqwest::Client,
}

impl Drop for ModelProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ModelProcess {
    /// Starts it with the testbed's accounts, on a free port.
    ///
    /// # Errors
    /// When it cannot be started, or does not tell its address.
    pub(super) fn start(program: &Path, costs: &Costs) -> Result<Self> {
        let accounts = ACCOUNTS.map(|(name, key)| format!("{name}={key}")).join(",");
        let mut command = Command::new(program);
        command.arg("--accounts").arg(accounts).arg("--costs").arg(serde_json::to_string(costs)?).env_clear();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start the cloud model")?;
        let input = child.stdin.take().context("the cloud model has no input")?;
        let output = child.stdout.take().context("the cloud model has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let told: Value = serde_json::from_str(&line).context("the cloud model did not tell its address")?;
        let endpoint = told["endpoint"].as_str().context("the cloud model did not tell its address")?.parse()?;
        Ok(Self { child, _input: input, endpoint, http: http_client_builder().build()? })
    }

    pub(super) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) async fn seed(&self, workload: &Workload) -> Result<()> {
        self.control::<Value>(Method::POST, "seed", workload).await.map(drop)
    }

    pub(super) async fn counters(&self) -> Result<Counters> {
        self.control(Method::GET, "counters", json!({})).await
    }

    pub(super) async fn reset_counters(&self) -> Result<()> {
        self.control::<Value>(Method::DELETE, "counters", json!({})).await.map(drop)
    }

    /// Logs the latest so many requests from now on.
    pub(super) async fn keep_log(&self, requests: u64) -> Result<()> {
        self.control::<Value>(Method::PUT, "log", json!({ "requests": requests })).await.map(drop)
    }

    pub(super) async fn log(&self) -> Result<Vec<Logged>> {
        self.control(Method::GET, "log", json!({})).await
    }

    pub(super) async fn compare(&self, comparison: &Comparison) -> Result<Differences> {
        self.control(Method::POST, "compare", comparison).await
    }

    async fn control<T: DeserializeOwned>(&self, method: Method, path: &str, body: impl Serialize) -> Result<T> {
        let url = self.endpoint.join("_model/")?.join(path)?;
        let answer = self.http.request(method, url).json(&body).send().await.context("the cloud model is gone")?;
        let (status, body) = (answer.status(), answer.bytes().await?);
        ensure!(status.is_success(), "the cloud model answers {status}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).with_context(|| format!("the cloud model's answer for {path} is odd"))
    }
}
