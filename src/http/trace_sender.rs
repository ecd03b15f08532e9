//! Sends traces to their collector with our own client, from a thread that is not the runtime's.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient as TraceClient, HttpError as TraceError, Request, Response};
use reqwest::Method;
use tokio::runtime::Handle;

use super::{HttpClient, HttpSetupError, Request as OurRequest};
use crate::settings::HttpSettings;

/// Sends; says once when nobody takes traces, and once when somebody does again.
#[derive(Debug)]
pub struct TraceSender {
    client: HttpClient,
    runtime: Handle,
    is_refused: AtomicBool,
}

impl TraceSender {
    /// With the limits of `settings`; to be called in the runtime that will send.
    ///
    /// # Errors
    /// As [`HttpClient::new`].
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpSetupError> {
        Ok(Self { client: HttpClient::new(settings)?, runtime: Handle::current(), is_refused: AtomicBool::new(false) })
    }

    fn tell(&self, problem: Option<String>) {
        let was_refused = self.is_refused.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !was_refused => {
                tracing::warn!("traces are not taken and lost until that is mended: {problem}")
            }
            None if was_refused => tracing::info!("traces are taken again"),
            _ => {}
        }
    }
}

#[async_trait]
impl TraceClient for TraceSender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TraceError> {
        let (head, body) = request.into_parts();
        let mut ours = OurRequest::new(Method::POST, head.uri.to_string().parse()?).body(body);
        if let Some(kind) = head.headers.get("content-type").and_then(|kind| kind.to_str().ok()) {
            ours = ours.header("content-type", kind);
        }
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send(ours).await }).await?;
        let answer = sent.inspect_err(|error| self.tell(Some(error.to_string())))?;
        self.tell((!answer.is_success()).then(|| format!("the collector answers {}", answer.status)));
        Ok(Response::builder().status(answer.status).body(answer.body)?)
    }
}
