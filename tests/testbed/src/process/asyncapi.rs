//! AsyncAPI's own parser, a program of Node.js: what it says of a document.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// How long it may take, its start included.
const LIMIT: Duration = Duration::from_secs(60);

/// Something that the parser has to say.
#[derive(Debug, Clone, Deserialize)]
pub struct Diagnostic {
    /// 0 error, 1 warning, 2 information, 3 hint.
    pub severity: u8,
    /// The rule's name.
    pub code: String,
    /// Where in the document, slashes between the words.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// Lets the parser read a document (JSON or YAML).
///
/// # Errors
/// When it is not installed or does not end in time.
pub async fn validate_asyncapi(document: &str) -> Result<Vec<Diagnostic>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("asyncapi/validate.js");
    let mut command = Command::new("node");
    command.arg(script).arg(find_parser()?).kill_on_drop(true);
    let mut node = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = node.stdin.take().context("no standard input")?;
    let output = async {
        input.write_all(document.as_bytes()).await?;
        drop(input);
        Ok::<_, anyhow::Error>(node.wait_with_output().await?)
    };
    let output = timeout(LIMIT, output).await.context("the parser does not end")??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the parser's answer is odd")
}

/// The package inside `TESTBED_ASYNCAPI_HOME`, or where `deploy/setup.sh` installs it.
fn find_parser() -> Result<PathBuf> {
    let home = std::env::var_os("TESTBED_ASYNCAPI_HOME")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed/asyncapi"), PathBuf::from);
    let parser = home.join("node_modules/@asyncapi/parser");
    match parser.canonicalize() {
        Ok(parser) => Ok(parser),
        Err(_) => bail!("no parser at {}: run deploy/setup.sh, or set TESTBED_ASYNCAPI_HOME", parser.display()),
    }
}
