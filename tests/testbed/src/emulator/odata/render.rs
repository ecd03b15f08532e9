//! Replies: entities, sets, single properties and errors in the flavour that was asked for.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};

use super::dates::DateForm;
use super::format::Format;
use super::path::encode_key;
use super::query::Page;
use super::schema::{Property, Schema};
use crate::emulator::config::DateStyle;
use crate::emulator::state::{AmsError, Entity};

/// How one reply is written.
#[derive(Debug, Clone)]
pub(crate) struct Renderer {
    /// The service root, with its trailing slash.
    pub(crate) root: String,
    pub(crate) format: Format,
    pub(crate) dates: DateStyle,
}

/// What the payload is, since the version and with it the dates depend on that (contract ams-v2 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    Created,
    Single,
    Set,
}

/// The type name of an entity, with its namespace.
pub(crate) fn qualified(schema: &Schema) -> String {
    format!("Microsoft.Cloud.Media.Vod.Rest.Data.Models.{}", schema.type_name)
}

impl Renderer {
    /// 201 with the new entity.
    pub(crate) fn created(&self, entity: &Entity) -> Response<Body> {
        let mut response = self.single(entity, None, Payload::Created);
        *response.status_mut() = axum::http::StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&self.url_of(entity)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    /// 200 with one entity.
    pub(crate) fn entity(&self, entity: &Entity, select: Option<&[&'static str]>) -> Response<Body> {
        self.single(entity, select, Payload::Single)
    }

    /// 200 with a set; `next` is the URL of the next page.
    pub(crate) fn set(
        &self,
        schema: &Schema,
        page: &Page,
        select: Option<&[&'static str]>,
        next: Option<&str>,
    ) -> Response<Body> {
        let version = self.version(schema, Payload::Set);
        let values: Vec<Value> =
            page.entities.iter().map(|entity| Value::Object(self.members(entity, select, Payload::Set))).collect();
        let mut members = Map::new();
        if self.format == Format::Verbose {
            members.insert("results".into(), Value::Array(values));
            insert_some(&mut members, "__count", page.count.map(|count| count.to_string()));
            insert_some(&mut members, "__next", next.map(str::to_owned));
            return self.answer(&json!({"d": members}), version);
        }
        if self.format == Format::Minimal {
            members.insert("odata.metadata".into(), json!(format!("{}$metadata#{}", self.root, schema.name)));
        }
        insert_some(&mut members, "odata.count", page.count.map(|count| count.to_string()));
        members.insert("value".into(), Value::Array(values));
        insert_some(&mut members, "odata.nextLink", next.map(str::to_owned));
        self.answer(&Value::Object(members), version)
    }

    /// 200 with one property.
    pub(crate) fn property(&self, entity: &Entity, property: &Property) -> Response<Body> {
        let schema = entity.set_of().schema();
        let collection = matches!(property.kind, super::edm::Kind::Collection(_));
        let verbose_version = if collection { "3.0;" } else { "1.0;" };
        let form = if self.format == Format::Verbose && !collection { DateForm::Milliseconds } else { self.iso(false) };
        let value = entity.value(property.name).write(property.kind, self.format, form);
        match self.format {
            Format::Verbose => self.answer(&json!({"d": {property.name: value}}), verbose_version),
            Format::Minimal => {
                let context = format!("{}$metadata#{}", self.root, schema.type_name);
                self.answer(&json!({"odata.metadata": context, "value": value}), "3.0;")
            }
            Format::Bare => self.answer(&json!({"value": value}), "3.0;"),
        }
    }

    /// 200 with a value that is not an entity's: the service document, a list of links, a function's result.
    pub(crate) fn value(&self, verbose: &Value, light: &Value) -> Response<Body> {
        match self.format {
            Format::Verbose => self.answer(&json!({"d": verbose}), "1.0;"),
            Format::Minimal | Format::Bare => self.answer(light, "3.0;"),
        }
    }

    /// The URL of an entity, with its key encoded.
    pub(crate) fn url_of(&self, entity: &Entity) -> String {
        format!("{}{}('{}')", self.root, entity.set_of().schema().name, encode_key(entity.key()))
    }

    fn single(&self, entity: &Entity, select: Option<&[&'static str]>, payload: Payload) -> Response<Body> {
        let schema = entity.set_of().schema();
        let mut members = self.members(entity, select, payload);
        let version = self.version(schema, payload);
        match self.format {
            Format::Verbose => self.answer(&json!({"d": members}), version),
            Format::Minimal => {
                let context = format!("{}$metadata#{}/@Element", self.root, schema.name);
                members.shift_insert(0, "odata.metadata".into(), json!(context));
                self.answer(&Value::Object(members), version)
            }
            Format::Bare => self.answer(&Value::Object(members), version),
        }
    }

    fn members(&self, entity: &Entity, select: Option<&[&'static str]>, payload: Payload) -> Map<String, Value> {
        let schema = entity.set_of().schema();
        let mut members = Map::new();
        if self.format == Format::Verbose {
            let url = self.url_of(entity);
            members.insert("__metadata".into(), json!({"id": url, "uri": url, "type": qualified(schema)}));
            for navigation in schema.navigations.iter().filter(|_| select.is_none()) {
                let deferred = json!({"__deferred": {"uri": format!("{url}/{}", navigation.name)}});
                members.insert(navigation.name.into(), deferred);
            }
        }
        let form = match self.version(schema, payload) {
            "3.0;" => self.iso(payload == Payload::Created),
            _ => DateForm::Milliseconds,
        };
        for property in schema.properties {
            if select.is_none_or(|names| names.contains(&property.name)) {
                let value = entity.value(property.name).write(property.kind, self.format, form);
                members.insert(property.name.into(), value);
            }
        }
        members
    }

    fn version(&self, schema: &Schema, payload: Payload) -> &'static str {
        match payload {
            _ if self.format != Format::Verbose || schema.has_collection() => "3.0;",
            Payload::Set => "2.0;",
            Payload::Created | Payload::Single => "1.0;",
        }
    }

    fn iso(&self, created: bool) -> DateForm {
        match self.dates {
            DateStyle::AsSeen if created => DateForm::IsoWithZone,
            DateStyle::AsSeen | DateStyle::NeverZone => DateForm::IsoBare,
            DateStyle::AlwaysZone => DateForm::IsoWithZone,
        }
    }

    fn answer(&self, value: &Value, version: &'static str) -> Response<Body> {
        // The service escapes the slashes of a verbose date, and old parsers look for exactly that.
        let text = value.to_string().replace("\"/Date(", "\"\\/Date(").replace(")/\"", ")\\/\"");
        let mut response = json_response(200, self.format, text);
        response.headers_mut().insert("DataServiceVersion", HeaderValue::from_static(version));
        response
    }
}

/// An error in the shape of the flavour (contract ams-v2 section 5.1).
pub(crate) fn error(error: &AmsError, format: Format) -> Response<Body> {
    let inner = json!({"code": "", "message": {"lang": "en-US", "value": error.message}});
    let member = if format == Format::Verbose { "error" } else { "odata.error" };
    let mut response = json_response(error.status, format, json!({member: inner}).to_string());
    response.headers_mut().insert("DataServiceVersion", HeaderValue::from_static("3.0;"));
    response
}

fn json_response(status: u16, format: Format, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() =
        axum::http::StatusCode::from_u16(status).unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    response
}

fn insert_some(members: &mut Map<String, Value>, name: &str, value: Option<String>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), Value::String(value));
    }
}
