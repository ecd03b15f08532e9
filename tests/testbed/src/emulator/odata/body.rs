//! Request bodies: JSON in either flavour to property values, links and nested tasks.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::edm::Edm;
use super::format::Format;
use super::schema::{Schema, Set};
use crate::emulator::state::AmsError;

/// What a request body said.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// Property values, `Edm::Null` where the body said `null` or the year 1.
    pub(crate) values: Vec<(&'static str, Edm)>,
    /// Entity URLs by navigation name.
    pub(crate) links: Vec<(&'static str, Vec<String>)>,
    /// Inline tasks of a job.
    pub(crate) tasks: Vec<Input>,
}

impl Input {
    /// A value that was given and is not null.
    pub(crate) fn value(&self, name: &str) -> Option<&Edm> {
        self.values
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
            .filter(|value| **value != Edm::Null)
    }

    /// A text that was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Edm::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number that was given.
    pub(crate) fn int32(&self, name: &str) -> Option<i32> {
        match self.value(name) {
            Some(Edm::Int32(number)) => Some(*number),
            _ => None,
        }
    }

    /// Adds a value, for code that creates entities itself.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Edm>) -> Self {
        self.values.push((name, value.into()));
        self
    }
}

/// Parses a body; an unknown property is refused by name (contract ams-v2 section 2.2).
pub(crate) fn parse(bytes: &[u8], format: Format, set: Set) -> Result<Input, AmsError> {
    let strict = serde_json::from_slice(bytes);
    let value: Value = strict
        .or_else(|error| serde_json::from_str(&requote(&String::from_utf8_lossy(bytes))).map_err(|_| error))
        .map_err(|error| AmsError::bad_request(format!("an error occurred while reading the body: {error}")))?;
    let Value::Object(members) = value else {
        return Err(AmsError::bad_request("the body must be a JSON object"));
    };
    read(&members, format, set)
}

/// The `uri` of a `$links` body: JSON, or the one XML element that Atom clients send (contract ams-v2 section 2.4).
pub(crate) fn parse_link(bytes: &[u8]) -> Result<String, AmsError> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    let uri = if text.starts_with('<') {
        let document = roxmltree::Document::parse(text).ok();
        document
            .filter(|document| document.root_element().tag_name().name() == "uri")
            .and_then(|document| document.root_element().text().map(|uri| uri.trim().to_owned()))
    } else {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        value.get("uri").or_else(|| value.get("url")).and_then(Value::as_str).map(str::to_owned)
    };
    uri.ok_or_else(|| AmsError::bad_request("the body of a link must be {\"uri\":\"<entity url>\"}"))
}

/// The parameter of an action, such as `{"scaleUnits": "1"}`, as a text; its name ignores case.
pub(crate) fn parse_argument(bytes: &[u8], name: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let (_, value) = value.as_object()?.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    value.as_str().map(|text| text.trim().to_owned()).or_else(|| value.as_i64().map(|number| number.to_string()))
}

/// Turns single-quoted strings into double-quoted ones and escapes raw control characters in strings: azurerm sends both,
/// and the service's reader took them (contract ams-v2 section 2.2).
fn requote(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let (mut quote, mut escaped) = (None, false);
    for character in text.chars() {
        match (quote, character) {
            (_, '\'') if escaped => {
                result.push('\'');
                escaped = false;
            }
            (_, any) if escaped => {
                result.extend(['\\', any]);
                escaped = false;
            }
            (Some(_), '\\') => escaped = true,
            (None, '"' | '\'') => {
                quote = Some(character);
                result.push('"');
            }
            (Some(open), close) if open == close => {
                quote = None;
                result.push('"');
            }
            (Some('\''), '"') => result.push_str("\\\""),
            (Some(_), control) if control.is_control() => {
                let _ = write!(result, "\\u{:04x}", u32::from(control));
            }
            (_, any) => result.push(any),
        }
    }
    result
}

fn read(members: &Map<String, Value>, format: Format, set: Set) -> Result<Input, AmsError> {
    let schema = set.schema();
    let mut input = Input::default();
    for (name, value) in members {
        if let Some(property) = schema.property(name) {
            let value = Edm::read(property.kind, value)
                .map_err(|expected| AmsError::bad_request(format!("the property '{name}' must be {expected}")))?;
            input.values.push((property.name, value));
        } else if let Some(bound) = name.strip_suffix("@odata.bind") {
            let navigation = schema.navigation(bound).ok_or_else(|| unknown(bound, schema))?;
            let urls = elements(value).iter().filter_map(Value::as_str).map(str::to_owned).collect();
            input.links.push((navigation.name, urls));
        } else if let Some(navigation) = schema.navigation(name) {
            if navigation.target == Set::Tasks {
                for task in elements(value).iter().filter_map(Value::as_object) {
                    input.tasks.push(read(task, format, Set::Tasks)?);
                }
            } else {
                input.links.push((navigation.name, linked_urls(value)));
            }
        } else if !is_annotation(name, format) {
            return Err(unknown(name, schema));
        }
    }
    Ok(input)
}

/// `__metadata` belongs to verbose JSON, `odata.*` and `x@odata.*` to light JSON.
fn is_annotation(name: &str, format: Format) -> bool {
    match format {
        Format::Verbose => name == "__metadata",
        Format::Minimal | Format::Bare => name.starts_with("odata.") || name.contains("@odata."),
    }
}

fn unknown(name: &str, schema: &Schema) -> AmsError {
    AmsError::bad_request(format!(
        "the property '{name}' does not exist on type '{}': make sure to only use property names that are defined by the type",
        super::render::qualified(schema)
    ))
}

fn elements(value: &Value) -> &[Value] {
    match value.get("results").unwrap_or(value) {
        Value::Array(list) => list,
        Value::Null => &[],
        single => std::slice::from_ref(single),
    }
}

/// Existing entities in a verbose body: `[{"__metadata":{"uri":"…"}}]`. A deferred navigation links nothing.
fn linked_urls(value: &Value) -> Vec<String> {
    let uri = |element: &Value| element.pointer("/__metadata/uri").and_then(Value::as_str).map(str::to_owned);
    elements(value).iter().filter_map(uri).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse_json(value: &Value, format: Format, set: Set) -> Result<Input, AmsError> {
        parse(value.to_string().as_bytes(), format, set)
    }

    #[test]
    fn reads_a_job_in_both_flavours() {
        let verbose =
            json!({"Name": "j", "InputMediaAssets": [{"__metadata": {"uri": "u"}}], "Tasks": [{"TaskBody": "b"}]});
        let light = json!({"Name": "j", "InputMediaAssets@odata.bind": ["u"], "Tasks": [{"TaskBody": "b"}]});
        for (body, format) in [(verbose, Format::Verbose), (light, Format::Minimal)] {
            let input = parse_json(&body, format, Set::Jobs).unwrap();
            assert_eq!(input.links, [("InputMediaAssets", vec!["u".to_owned()])]);
            assert_eq!(input.tasks[0].text("TaskBody"), Some("b"));
        }
    }

    #[test]
    fn takes_single_quoted_strings() {
        let body = br#"{"Name": "it's", "AlternateId": '{"a": "b"}'}"#;
        let input = parse(body, Format::Verbose, Set::Assets).unwrap();
        assert_eq!((input.text("Name"), input.text("AlternateId")), (Some("it's"), Some(r#"{"a": "b"}"#)));
        let body = b"{\t\"Name\": \"a\tb\\\"\", \"AlternateId\": '{\n\t\"it\\'s\": \"\\u00fc\"}'}";
        let input = parse(body, Format::Verbose, Set::Assets).unwrap();
        assert_eq!(
            (input.text("Name"), input.text("AlternateId")),
            (Some("a\tb\""), Some("{\n\t\"it's\": \"\u{fc}\"}"))
        );
    }

    #[test]
    fn reads_a_link_in_json_and_xml() {
        let xml = r#"<?xml version="1.0" encoding="utf-8"?><uri xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices">http://x/a</uri>"#;
        for body in [xml, r#"{"uri": "http://x/a"}"#, r#"{"url":"http://x/a"}"#] {
            assert_eq!(parse_link(body.as_bytes()), Ok("http://x/a".to_owned()));
        }
        for body in ["", "{}", "<url>http://x/a</url>", "<uri>"] {
            assert_eq!(parse_link(body.as_bytes()).map_err(|error| error.status), Err(400), "{body}");
        }
    }

    #[test]
    fn names_the_unknown_property() {
        let error = parse_json(&json!({"Colour": 1}), Format::Verbose, Set::Assets).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.message.contains("'Colour'"), "{}", error.message);
        assert!(parse_json(&json!({"__metadata": {}}), Format::Verbose, Set::Assets).is_ok());
        assert!(parse_json(&json!({"__metadata": {}}), Format::Minimal, Set::Assets).is_err());
    }
}
