//! An OpenTelemetry collector in this process: takes traces by OTLP over HTTP (protobuf) and keeps their spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A span as it was exported; ids in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of its trace.
    pub trace_id: String,
    /// Its own.
    pub id: String,
    /// Of the span above it; empty without one.
    pub parent_id: String,
    /// What it is called.
    pub name: String,
    /// Such as `CONSUMER`.
    pub kind: String,
    /// Texts and numbers by name.
    pub attributes: BTreeMap<String, String>,
    /// Whether it says that it failed.
    pub has_failed: bool,
    /// What exported it: the attribute `service.name`.
    pub service: String,
}

/// A running collector; it stops when it is dropped.
pub struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: JoinHandle<()>,
}

impl Collector {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the collector")?;
        let url = format!("http://{}/v1/traces", listener.local_addr()?);
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let service = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&spans));
        let server = tokio::spawn(async move {
            // ends only with its task
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self { url, spans, server })
    }

    /// Where traces are to be sent.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All spans so far, in the order of their arrival.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) -> Result<Vec<u8>, StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut taken = Vec::new();
    for resource in request.resource_spans {
        let of_resource = resource.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
        let service = of_resource.get("service.name").cloned().unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let kind = span.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_owned();
            debug_assert_ne!(span.kind(), SpanKind::Unspecified);
            taken.push(Span {
                trace_id: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                name: span.name,
                kind,
                attributes: attributes(span.attributes),
                has_failed: span.status.is_some_and(|status| status.code() == SpanStatus::Error),
                service: service.clone(),
            });
        }
    }
    spans.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(yes) => yes.to_string(),
        other => format!("{other:?}"),
    };
    all.into_iter().filter_map(|one| Some((one.key, text(one.value?.value?)))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
