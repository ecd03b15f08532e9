//! What operators' tools ask a running worker over HTTP: its metrics.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::telemetry::Metrics;

/// Prometheus, "Exposition formats", text-based format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until it is dropped.
#[derive(Debug)]
pub struct Admin {
    _server: AbortOnDropHandle<()>,
}

impl Admin {
    /// Answers at `address` from now on; port 0 takes a free one, which the log tells.
    ///
    /// # Errors
    /// When nobody may listen there, or somebody else does.
    pub async fn start(address: SocketAddr, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "answers /metrics");
        let show = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], metrics.render()) };
        let router = Router::new().route("/metrics", get(show));
        let serve = async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics are answered no longer");
            }
        };
        Ok(Self { _server: AbortOnDropHandle::new(tokio::spawn(serve)) })
    }
}
