//! A relay: takes the encoder's job notifications by webhook, checks their signature, and publishes them as they are.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::amqp::{Amqp, Outgoing};

/// A running relay; dropping it closes its door.
#[derive(Debug)]
pub struct Relay {
    address: String,
    signing_key: String,
    relayed: mpsc::UnboundedReceiver<Value>,
    serving: AbortHandle,
}

struct Door {
    amqp: Amqp,
    exchange: String,
    routing_key: String,
    signing_key: [u8; 64],
    relayed: mpsc::UnboundedSender<Value>,
}

impl Relay {
    /// Listens on a free loopback port, and publishes with a routing key to an exchange, which must have a queue for it.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(amqp: Amqp, exchange: &str, routing_key: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the relay finds no free port")?;
        let address = format!("http://{}/job-notifications", listener.local_addr()?);
        let (sender, relayed) = mpsc::unbounded_channel();
        let signing_key = new_key();
        let (exchange, routing_key) = (exchange.to_owned(), routing_key.to_owned());
        let door = Door { amqp, exchange, routing_key, signing_key, relayed: sender };
        let router = Router::new().route("/job-notifications", post(take)).with_state(Arc::new(door));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { address, signing_key: STANDARD.encode(signing_key), relayed, serving })
    }

    /// Where it takes notifications.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The key that notifications must be signed with, base64.
    #[must_use]
    pub fn signing_key(&self) -> &str {
        &self.signing_key
    }

    /// Waits for the next notification that was published.
    ///
    /// # Errors
    /// When the relay has ended.
    pub async fn next(&mut self) -> Result<Value> {
        self.relayed.recv().await.context("the relay has ended")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A notification is acknowledged only when the broker has it; else its sender tries again.
async fn take(State(door): State<Arc<Door>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // over the raw bytes, before anything is parsed (contract ams-v2 section 7)
    if header("ms-signature") != Some(signature(&body, &door.signing_key).as_str()) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(notification) = serde_json::from_slice::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    // one id for one notification, however often it comes: its ETag tells duplicates (contract ams-v2 section 7)
    let etag = notification["ETag"].as_str();
    let message_id = etag.map(|etag| Uuid::new_v5(&Uuid::NAMESPACE_OID, etag.as_bytes()).to_string());
    let content_type = Some("application/json".to_owned());
    let message = Outgoing { body, content_type, message_id, ..Outgoing::default() };
    if let Err(error) = door.amqp.publish(&door.exchange, &door.routing_key, message).await {
        tracing::warn!(error = format!("{error:#}"), "a notification could not be published");
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    // nobody has to listen
    let _ = door.relayed.send(notification);
    StatusCode::NO_CONTENT
}

/// `sha256=` and the upper-case hexadecimal HMAC-SHA256 of the body (contract ams-v2 section 7).
fn signature(body: &[u8], key: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(body);
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// 64 random bytes, the length that the service asks for.
fn new_key() -> [u8; 64] {
    let mut key = [0; 64];
    for part in key.chunks_exact_mut(16) {
        part.copy_from_slice(Uuid::new_v4().as_bytes());
    }
    key
}
