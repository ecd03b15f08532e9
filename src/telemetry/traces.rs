//! Traces of messages, steps and events for OpenTelemetry: spans besides those of the log lines, which only the export sees.
//!
//! Names and attributes: OpenTelemetry, "Semantic conventions for messaging spans" and "... for RabbitMQ". Their context comes
//! and goes as W3C Trace Context, so that one trace leads from the encoder's event to ours.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Status, TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HttpClient;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

/// What the spans of traces are told apart by from those of log lines.
const TARGET: &str = "stream_replicator::traces";

/// Where traces go.
#[derive(Debug)]
pub struct Export<Client> {
    /// The collector's address for traces, such as `http://127.0.0.1:4318/v1/traces` (OTLP over HTTP, protobuf).
    pub url: String,
    /// Which part of the traces that begin here is exported; others follow their beginning.
    pub sample_ratio: f64,
    /// What sends.
    pub client: Client,
}

/// A running export.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins an export; it sends from a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn begin<Client: HttpClient + 'static>(export: Export<Client>) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(export.client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(export.url)
            .build()?;
        let resource = Resource::builder_empty()
            .with_service_name(env!("CARGO_PKG_NAME"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(export.sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        Ok(Self(provider))
    }

    /// What makes spans into traces.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")));
        layer
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_filter(filter_fn(is_trace))
    }

    /// Sends what is left. Blocks until that is done, for five seconds at most.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Whether it is a span of traces alone, which log lines have no use for.
pub(super) fn is_trace(span: &Metadata<'_>) -> bool {
    span.is_span() && span.target() == TARGET
}

/// A message that is delivered: where it comes from, and its id and size.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    /// The queue it was in.
    pub queue: &'a str,
    /// The exchange that it was published to.
    pub exchange: &'a str,
    /// With which routing key.
    pub key: &'a str,
    /// AMQP's `message_id`.
    pub id: Option<&'a str>,
    /// Of its body.
    pub bytes: usize,
}

/// Whether anybody wants traces; without that there is nothing to look for in messages.
#[must_use]
pub fn are_wanted() -> bool {
    tracing::span_enabled!(target: TARGET, tracing::Level::INFO)
}

/// The span of one delivery, below what `traceparent` and `tracestate` name.
#[must_use]
pub fn processing(message: Delivered<'_>, traceparent: Option<&str>, tracestate: Option<&str>) -> Span {
    let name = format!("process {}", message.queue);
    let span = tracing::info_span!(target: TARGET, "process", otel.name = name, otel.kind = "consumer");
    let fields = [("traceparent", traceparent), ("tracestate", tracestate)];
    let fields: HashMap<String, String> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    // without a collector there is nobody to tell
    let _ = span.set_parent(TraceContextPropagator::new().extract_with_context(&Context::new(), &fields));
    span.set_attribute("messaging.system", "rabbitmq");
    span.set_attribute("messaging.operation.name", "process");
    span.set_attribute("messaging.operation.type", "process");
    span.set_attribute("messaging.destination.name", destination(message.exchange, message.key, message.queue));
    span.set_attribute("messaging.rabbitmq.destination.routing_key", message.key.to_owned());
    span.set_attribute("messaging.message.body.size", i64::try_from(message.bytes).unwrap_or(i64::MAX));
    if let Some(id) = message.id {
        span.set_attribute("messaging.message.id", id.to_owned());
    }
    span
}

/// "Exchange, routing key and queue, those that there are, with a colon in between" (conventions for RabbitMQ).
fn destination(exchange: &str, key: &str, queue: &str) -> String {
    [exchange, key, queue].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
}

/// The span of one step of the pipeline.
#[must_use]
pub fn step(name: &'static str) -> Span {
    tracing::info_span!(target: TARGET, "step", otel.name = name)
}

/// The span of sending an event to `exchange`.
#[must_use]
pub fn publishing(exchange: &str) -> Span {
    let span = tracing::info_span!(target: TARGET, "publish", otel.name = format!("publish {exchange}"), otel.kind = "producer");
    span.set_attribute("messaging.system", "rabbitmq");
    span.set_attribute("messaging.operation.name", "publish");
    span.set_attribute("messaging.operation.type", "send");
    span
}

/// Says where the message of a span of [`publishing`] goes.
pub fn published_to(span: &Span, exchange: &str, key: &str, id: Option<&str>) {
    span.set_attribute("messaging.destination.name", destination(exchange, key, ""));
    span.set_attribute("messaging.rabbitmq.destination.routing_key", key.to_owned());
    if let Some(id) = id {
        span.set_attribute("messaging.message.id", id.to_owned());
    }
}

/// What a receiver is told of `span` (W3C Trace Context, `traceparent`); none where nobody wants traces.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut fields);
    fields.remove("traceparent").filter(|_| span.context().span().span_context().is_valid())
}

/// Writes what became of the message to the span that we are in: the settlement, and the code of a failure.
pub fn settled(settlement: &'static str, code: Option<&'static str>) {
    let span = Span::current();
    span.set_attribute("stream_replicator.settlement", settlement);
    if let Some(code) = code {
        failed(&span, code);
    }
}

/// Writes a failure to a span.
pub fn failed(span: &Span, code: &'static str) {
    span.set_attribute("error.type", code);
    span.set_status(Status::error(code));
}
