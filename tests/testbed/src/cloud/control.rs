//! The model's control over HTTP, below `/_model/`: what a process of its own is told and asked.

use std::sync::Arc;

use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Answer;
use super::compare::Comparison;
use super::costs::Costs;
use super::error::Refusal;
use super::rules::{Corruption, Overwrite};
use super::seed::Workload;
use super::shared::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSize {
    requests: u64,
}

/// Why a control request is refused.
struct Bad(u16, String);

impl From<serde_json::Error> for Bad {
    fn from(error: serde_json::Error) -> Self {
        Self(400, format!("the body is not valid: {error}"))
    }
}

impl From<anyhow::Error> for Bad {
    fn from(error: anyhow::Error) -> Self {
        Self(400, format!("{error:#}"))
    }
}

impl From<Refusal> for Bad {
    fn from(refusal: Refusal) -> Self {
        Self(refusal.status, refusal.code.to_owned())
    }
}

/// One request; `path` is what comes behind `/_model/`. It costs nothing, and is not counted.
pub(crate) async fn serve(shared: &Arc<Shared>, method: &Method, path: &str, body: &[u8]) -> Answer {
    let (shared, method, path, body) = (Arc::clone(shared), method.clone(), path.to_owned(), body.to_vec());
    // a million blobs take a while, and the other requests go on
    let done = tokio::task::spawn_blocking(move || carry_out(&shared, &method, &path, &body)).await;
    match done {
        Ok(Ok(value)) => Answer::json(200, &value),
        Ok(Err(Bad(status, error))) => Answer::json(status, &json!({ "error": error })),
        Err(_) => Answer::json(500, &json!({ "error": "the model has failed: see its log" })),
    }
}

fn carry_out(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Result<Value, Bad> {
    match (method.as_str(), path) {
        ("POST", "accounts") => {
            let account: NewAccount = parse(body)?;
            shared.add_account(&account.name, &account.key)?;
        }
        ("POST", "seed") => shared.seed(&parse::<Workload>(body)?)?,
        ("GET", "costs") => return Ok(serde_json::to_value(&*shared.costs())?),
        ("PUT", "costs") => shared.set_costs(parse::<Costs>(body)?),
        ("GET", "counters") => return Ok(serde_json::to_value(shared.observer.snapshot())?),
        ("DELETE", "counters") => shared.observer.reset(),
        ("GET", "log") => return Ok(serde_json::to_value(shared.observer.logged())?),
        ("PUT", "log") => shared.observer.keep(parse::<LogSize>(body)?.requests),
        ("POST", "corruptions") => shared.rules.corrupt(parse::<Corruption>(body)?),
        ("POST", "overwrites") => shared.rules.overwrite(parse::<Overwrite>(body)?),
        ("DELETE", "rules") => shared.rules.clear(),
        ("POST", "compare") => return Ok(serde_json::to_value(shared.compare(&parse::<Comparison>(body)?)?)?),
        _ => return Err(Bad(404, format!("there is no {method} /_model/{path}"))),
    }
    Ok(json!({}))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Bad> {
    Ok(serde_json::from_slice(body)?)
}
