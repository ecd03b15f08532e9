//! The model as a program.
#![expect(clippy::unwrap_used, reason = "stories of the model")]

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use testbed::process::ACCOUNTS;
use testbed::storage::{PutOptions, Storage};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);

async fn start(costs: &str) -> (Child, Value) {
    let accounts = ACCOUNTS.map(|(name, key)| format!("{name}={key}")).join(",");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloud-model"));
    command.args(["--accounts", &accounts, "--costs", costs]).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(LIMIT, lines.next_line()).await.unwrap().unwrap().unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn serves_until_its_input_closes() {
    let (mut child, told) = start("none").await;
    let endpoint: url::Url = told["endpoint"].as_str().unwrap().parse().unwrap();
    assert_eq!(told["accounts"], serde_json::json!(["west", "east"]));
    let (name, key) = ACCOUNTS[0];
    let west = Storage::new(endpoint.join(name).unwrap(), name, key).unwrap();
    west.create_container("asset").await.unwrap();
    west.put("asset", "a", "x", PutOptions::default()).await.unwrap();
    assert_eq!(west.list("asset").await.unwrap().unwrap().len(), 1);
    drop(child.stdin.take());
    assert!(timeout(LIMIT, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn ends_on_sigterm() {
    let (mut child, told) = start("{\"round_trip_milliseconds\": 5}").await;
    let pid = told["pid"].as_i64().unwrap().try_into().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::TERM).unwrap();
    assert!(timeout(LIMIT, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn refuses_bad_arguments_without_telling_keys() {
    for arguments in
        [vec!["--accounts", "west:secret"], vec![], vec!["--accounts", "west=c2VjcmV0", "--costs", "{\"x\":1}"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_cloud-model")).args(&arguments).output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.starts_with("cloud-model: "), "{told}");
        assert!(!told.contains("c2VjcmV0") && !told.contains("secret"), "{told}");
    }
}
