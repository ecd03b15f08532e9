//! CloudEvents 1.0 on AMQP 0-9-1, in structured and in binary mode.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::finished::{self, Envelope, FINISHED};
use super::message::{Incoming, Parsed, fallback_id};
use crate::failure::Failure;

const FINISHED_ANY_VERSION: &str = "media.encoding.finished.v";
/// Prefixes of attribute headers: Knative's draft for AMQP 0-9-1, then both of the AMQP 1.0 binding.
const HEADER_PREFIXES: [&str; 3] = ["ce-", "cloudevents_", "cloudevents:"];

/// Reads structured mode: the body is the whole event.
pub fn parse_structured(members: &Map<String, Value>, message: &Incoming<'_>) -> Result<Parsed, Failure> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    check_attributes(text("specversion"), text("type"))?;
    let Some(id) = text("id").filter(|id| !id.is_empty()) else {
        return Err(Failure::invalid("no-event-id", "CloudEvent has no `id`"));
    };
    let Some(data) = members.get("data") else {
        return Err(Failure::invalid("no-data", "CloudEvent has no `data`"));
    };
    let envelope =
        Envelope { id: id.to_owned(), time: text("time"), traceparent: message.traceparent(text("traceparent")) };
    finished::parse_data(data, envelope)
}

/// The attributes of binary mode, by lower-case name; `None` when the headers hold no `specversion`.
pub fn find_binary_attributes(headers: &BTreeMap<&str, &str>) -> Option<BTreeMap<String, String>> {
    let attributes: BTreeMap<String, String> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let attribute = HEADER_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
            Some((attribute.to_owned(), (*value).to_owned()))
        })
        .collect();
    attributes.contains_key("specversion").then_some(attributes)
}

/// Reads binary mode: attributes in headers, the body is the data.
pub fn parse_binary(
    attributes: &BTreeMap<String, String>,
    body: &Value,
    message: &Incoming<'_>,
) -> Result<Parsed, Failure> {
    let text = |name: &str| attributes.get(name).map(String::as_str);
    check_attributes(text("specversion"), text("type"))?;
    let id = text("id").filter(|id| !id.is_empty()).map_or_else(|| fallback_id(message), str::to_owned);
    let envelope = Envelope { id, time: text("time"), traceparent: message.traceparent(text("traceparent")) };
    finished::parse_data(body, envelope)
}

fn check_attributes(specversion: Option<&str>, kind: Option<&str>) -> Result<(), Failure> {
    match specversion {
        Some("1.0") => {}
        Some(_) => return Err(Failure::invalid("unknown-specversion", "CloudEvents version is not 1.0")),
        None => return Err(Failure::invalid("unknown-specversion", "CloudEvent has no `specversion`")),
    }
    match kind {
        Some(FINISHED) => Ok(()),
        Some(kind) if kind.starts_with(FINISHED_ANY_VERSION) => Err(Failure::invalid(
            "unknown-version",
            format!("event is of a version that is not known here: send {FINISHED}"),
        )),
        Some(_) => {
            Err(Failure::invalid("unknown-type", format!("event is of a type that is not for us: send {FINISHED}")))
        }
        None => Err(Failure::invalid("unknown-type", "CloudEvent has no `type`")),
    }
}
