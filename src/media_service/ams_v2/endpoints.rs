//! Streaming endpoints: the hosts that players ask; stopped ones play nothing.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::AmsV2;
use super::wire::EndpointRow;
use crate::failure::Failure;
use crate::model::StreamingLocator;

/// How long an endpoint takes to start, about.
const STARTING: Duration = Duration::from_secs(30);
/// Every account has this one (contract ams-v2, section 3).
const DEFAULT_NAME: &str = "default";

/// A streaming endpoint that plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamingEndpoint {
    /// Its name within the account.
    pub name: String,
    /// Its public host name.
    pub host_name: String,
    /// `Running`, or `Scaling`, during which it plays on.
    pub state: String,
    /// Reserved units; `None` when the service does not say.
    pub scale_units: Option<i64>,
}

impl AmsV2 {
    /// The endpoint that serves `locator`, by the host of its path, else the account's default one; it must play.
    ///
    /// # Errors
    /// Permanent: `no-streaming-endpoint`, `endpoint-stopped`, `endpoint-without-units`; needs more time:
    /// `endpoint-starting`; else as every call.
    pub async fn verify_streaming_endpoint(
        &self,
        locator: Option<&StreamingLocator>,
    ) -> Result<StreamingEndpoint, Failure> {
        let rows: Vec<EndpointRow> = self.client.list("StreamingEndpoints", None).await?;
        let host = locator.and_then(|locator| Url::parse(&locator.path).ok()?.host_str().map(str::to_owned));
        choose(rows, host.as_deref()).and_then(verify).map_err(|failure| failure.at_site(self.client.site()))
    }
}

fn choose(mut rows: Vec<EndpointRow>, host: Option<&str>) -> Result<EndpointRow, Failure> {
    let has = |row: &EndpointRow, host: &str| {
        row.host_name.iter().chain(&row.custom_host_names).any(|name| name.eq_ignore_ascii_case(host))
    };
    let is_default =
        |row: &EndpointRow| row.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(DEFAULT_NAME));
    let at = host
        .and_then(|host| rows.iter().position(|row| has(row, host)))
        .or_else(|| rows.iter().position(is_default))
        .or_else(|| (rows.len() == 1).then_some(0))
        .ok_or_else(|| {
            let failure =
                Failure::permanent("no-streaming-endpoint", "the media account has no default streaming endpoint");
            failure.with_hint("create and start a streaming endpoint named 'default'")
        })?;
    Ok(rows.swap_remove(at))
}

fn verify(row: EndpointRow) -> Result<StreamingEndpoint, Failure> {
    let name = row.name.unwrap_or_default();
    let state = match row.state {
        Some(Value::String(state)) => state,
        other => other.map(|state| state.to_string()).unwrap_or_default(),
    };
    match state.as_str() {
        "Running" | "Scaling" => {}
        "Starting" => {
            let message = format!("streaming endpoint '{name}' is starting");
            return Err(Failure::needs_more_time("endpoint-starting", message, STARTING));
        }
        _ => {
            let message = format!("streaming endpoint '{name}' does not play, its state is '{state}'");
            return Err(Failure::permanent("endpoint-stopped", message).with_hint("start the streaming endpoint"));
        }
    }
    // Endpoints of version 2 (Standard, Premium) and those behind a CDN need no unit of their own to be counted here.
    let is_classic = row.streaming_endpoint_version.as_deref().is_none_or(|version| version.starts_with('1'));
    if is_classic && !row.cdn_enabled && row.scale_units == Some(0) {
        let message = format!("streaming endpoint '{name}' is a classic one without units, which cannot package");
        let failure = Failure::permanent("endpoint-without-units", message);
        return Err(failure.with_hint("add a streaming unit, or migrate the endpoint to Standard"));
    }
    let host_name = row.host_name.unwrap_or_default();
    Ok(StreamingEndpoint { name, host_name, state, scale_units: row.scale_units })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> EndpointRow {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_endpoint_of_the_locators_host_is_chosen_else_the_default_one() {
        let rows = || {
            vec![
                row(r#"{"Name":"other","HostName":"other.example","CustomHostNames":{"results":["video.example"]}}"#),
                row(r#"{"Name":"default","HostName":"west.example"}"#),
            ]
        };
        for (host, name) in [
            (None, "default"),
            (Some("Other.example"), "other"),
            (Some("video.example"), "other"),
            (Some("unknown.example"), "default"),
        ] {
            assert_eq!(choose(rows(), host).unwrap().name.as_deref(), Some(name), "{host:?}");
        }
        assert_eq!(choose(Vec::new(), None).err().map(|failure| failure.code), Some("no-streaming-endpoint"));
    }

    #[test]
    fn only_endpoints_that_play_pass() {
        for (json, code) in [
            (r#"{"State":"Running","ScaleUnits":0,"StreamingEndpointVersion":"2.0"}"#, None),
            (r#"{"State":"Running","ScaleUnits":1}"#, None),
            (r#"{"State":"Scaling","ScaleUnits":"1","StreamingEndpointVersion":"1.0"}"#, None),
            (r#"{"State":"Running","ScaleUnits":0,"StreamingEndpointVersion":"1.0"}"#, Some("endpoint-without-units")),
            (r#"{"State":"Running","ScaleUnits":0}"#, Some("endpoint-without-units")),
            (r#"{"State":"Starting"}"#, Some("endpoint-starting")),
            (r#"{"State":"Stopped"}"#, Some("endpoint-stopped")),
            (r#"{"State":0}"#, Some("endpoint-stopped")),
        ] {
            assert_eq!(verify(row(json)).err().map(|failure| failure.code), code, "{json}");
        }
    }
}
