//! One request through the zone: find what is behind its name, pass it on, note it down.

use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use reqwest::Url;

use super::{Behind, Seen, State, sas};
use crate::storage::Storage;

/// Bodies are read whole; tests have small ones.
const MAX_BODY_BYTES: usize = 64 << 20;
/// Headers about one connection (RFC 9110, section 7.6.1).
const OF_CONNECTION: [header::HeaderName; 3] = [header::CONNECTION, header::TRANSFER_ENCODING, header::EXPECT];

pub(super) async fn handle(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let mut seen = Seen {
        host: host_of(request.headers()),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        authorized: request.headers().contains_key(header::AUTHORIZATION),
        status: 0,
    };
    let answer = forward(&state, &seen.host, request).await.unwrap_or_else(|error| {
        let mut refusal = Response::new(Body::from(format!("the zone does not pass this on: {error:#}")));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        refusal
    });
    seen.status = answer.status().as_u16();
    state.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    answer
}

/// The name alone: clients name no port, as they take the zone's for the usual one.
fn host_of(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    host.to_ascii_lowercase()
}

async fn forward(state: &State, host: &str, request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await?;
    let mut headers = without_connection_headers(head.headers);
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let url = match state.names.get(host).with_context(|| format!("nothing is behind '{host}'"))? {
        Behind::Server(server) => server.join(target)?,
        Behind::Blobs(storage) => {
            let url = at_azurite(storage, head.uri.path(), head.uri.query())?;
            headers.insert(header::HOST, HeaderValue::from_str(url.authority())?);
            if let Some(source) = headers.get("x-ms-copy-source") {
                let source = copy_source(state, source.to_str()?)?;
                headers.insert("x-ms-copy-source", HeaderValue::from_str(source.as_str())?);
            }
            url
        }
    };
    let mut outgoing = reqwest::Request::new(head.method, url);
    *outgoing.headers_mut() = headers;
    if !body.is_empty() {
        *outgoing.body_mut() = Some(body.into());
    }
    let incoming = state.client.execute(outgoing).await.context("what is behind the name does not answer")?;
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = incoming.status();
    *answer.headers_mut() = without_connection_headers(incoming.headers().clone());
    *answer.body_mut() = Body::from_stream(incoming.bytes_stream());
    Ok(answer)
}

/// Azurite copies only from the host and port at which it is asked itself.
fn copy_source(state: &State, source: &str) -> Result<Url> {
    let source: Url = source.parse()?;
    match (source.scheme(), source.host_str().and_then(|host| state.names.get(host))) {
        ("https", Some(Behind::Blobs(storage))) => at_azurite(storage, source.path(), source.query()),
        _ => bail!("the source of the copy is no storage account of this zone"),
    }
}

/// The same place in the style of Azurite: the account is the first word of the path.
fn at_azurite(storage: &Storage, path: &str, query: Option<&str>) -> Result<Url> {
    let mut url = storage.endpoint().clone();
    url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
    if let Some(query) = query {
        url.set_query(Some(&sas::without_tls(storage, path, query)?));
    }
    Ok(url)
}

fn without_connection_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    headers
}
