//! What operators' tools ask a running worker over HTTP: metrics, whether it is alive and works, what it has in hand.

mod jobs;

use std::io;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::telemetry::{Health, InHand, Liveness, Metrics, Readiness};

/// Prometheus, "Exposition formats", text-based format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Admin {
    _server: AbortOnDropHandle<()>,
}

/// What is answered with.
#[derive(Debug, Clone)]
pub struct Sources {
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the worker works.
    pub health: Health,
    /// The deliveries in hand.
    pub in_hand: InHand,
    /// The worker's name, as it stands in headers.
    pub name: String,
    /// How many jobs it runs at once.
    pub concurrency: u16,
}

impl Admin {
    /// Answers at `address` from now on; port 0 takes a free one, which the log tells.
    ///
    /// # Errors
    /// When nobody may listen there, or somebody else does.
    pub async fn start(address: SocketAddr, sources: Sources) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "answers /metrics, /healthz, /readyz, /version and /jobs");
        let jobs = jobs::Jobs::of(sources.clone());
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/version", get(version))
            .with_state(sources)
            .route("/jobs", get(jobs::jobs).with_state(jobs));
        let serve = async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics and probes are answered no longer");
            }
        };
        Ok(Self { _server: AbortOnDropHandle::new(tokio::spawn(serve)) })
    }
}

async fn metrics_page(State(sources): State<Sources>) -> Response {
    ([(CONTENT_TYPE, TEXT_FORMAT)], sources.metrics.render()).into_response()
}

/// Whether the process is to be left alone (Kubernetes, "Liveness probe"): never whether others can be reached.
async fn healthz(State(sources): State<Sources>) -> Response {
    match sources.health.liveness() {
        Liveness::Alive => (StatusCode::OK, "alive\n").into_response(),
        Liveness::Stuck(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// Whether it takes deliveries and can settle them (Kubernetes, "Readiness probe").
async fn readyz(State(sources): State<Sources>) -> Response {
    let state = sources.health.watch().borrow().clone();
    match state.readiness {
        Readiness::Ready => (StatusCode::OK, "ready\n".to_owned()).into_response(),
        Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "told to stop\n".to_owned()).into_response(),
    }
}

async fn version() -> Response {
    Json(json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") })).into_response()
}
