//! The gate of every door: knows the caller, injects faults, keeps the log.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use time::OffsetDateTime;

use super::listener::Connection;
use super::token::Bearer;
use super::{reply, token};
use crate::emulator::faults::{Down, FaultAction, FaultBody, FaultRule};
use crate::emulator::odata::format::Format;
use crate::emulator::odata::{path, render};
use crate::emulator::shared::Shared;
use crate::emulator::state::{Account, AmsError};
use crate::emulator::traffic::{DoorKind, Request};

/// Bodies are small: entities and links.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// One request, read whole.
#[derive(Debug)]
pub(crate) struct Call {
    /// What the log will say of it.
    pub(crate) request: Request,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a door belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) kind: DoorKind,
    /// The data centre of a cluster or of a streaming endpoint.
    pub(crate) data_centre: Option<String>,
    /// The account of a streaming endpoint, or of a REST endpoint that serves one account only.
    pub(crate) account: Option<String>,
}

/// A router that hands every request, whatever its method, to `serve`. Routing by path is left to `serve`, since axum
/// routes by raw segments and old clients encode theirs.
pub(crate) fn router<F, R>(shared: Arc<Shared>, place: Place, serve: F) -> Router
where
    F: Fn(Arc<Shared>, Call) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let handler = move |ConnectInfo(connection): ConnectInfo<Connection>, request: axum::extract::Request| {
        let (shared, place, serve) = (Arc::clone(&shared), place.clone(), serve.clone());
        async move { pass(shared, place, connection, request, serve).await }
    };
    Router::new().fallback(handler)
}

async fn pass<F, R>(
    shared: Arc<Shared>,
    place: Place,
    connection: Connection,
    request: axum::extract::Request,
    serve: F,
) -> Response<Body>
where
    F: Fn(Arc<Shared>, Call) -> R,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let call = match read(&shared, &place, request).await {
        Ok(call) => call,
        Err(response) => return response,
    };
    let mut entry = call.request.clone();
    let (headers, fault, down) = {
        let mut state = shared.state.lock();
        let down = place.data_centre.as_ref().and_then(|name| state.down.get(name)).copied();
        (call.headers.clone(), state.take_fault(&call.request), down)
    };
    let response = match (down, fault) {
        (Some(Down::Refused), _) => None,
        (Some(Down::Unavailable), _) => Some(reply::html(503, "Service Unavailable")),
        (None, None) => Some(whole(&shared, serve(Arc::clone(&shared), call)).await),
        (None, Some(rule)) => {
            let service = whole(&shared, serve(Arc::clone(&shared), call));
            meet(&rule, &shared, &entry, &headers, service).await
        }
    };
    entry.status = response.as_ref().map_or(0, |response| response.status().as_u16());
    tracing::debug!(door = ?entry.door, method = entry.method, path = entry.path, account = entry.account, status = entry.status);
    shared.state.lock().requests.push(entry);
    response.unwrap_or_else(|| {
        connection.cut();
        reply::empty(500)
    })
}

/// Once begun, a request is carried out to its end, also for a caller who is gone: a locator comes with its stored policy.
async fn whole(shared: &Shared, service: impl Future<Output = Response<Body>> + Send + 'static) -> Response<Body> {
    shared.tasks.spawn(service).await.unwrap_or_else(|_| reply::html(500, "Internal Server Error"))
}

/// Carries out a fault; `None` is a dropped connection.
async fn meet(
    rule: &FaultRule,
    shared: &Shared,
    request: &Request,
    headers: &HeaderMap,
    service: impl Future<Output = Response<Body>>,
) -> Option<Response<Body>> {
    match &rule.action {
        FaultAction::DelayMilliseconds(milliseconds) => {
            let delay = async {
                let released = shared.release.notified();
                shared.state.lock().delayed.push(request.clone());
                let _ = tokio::time::timeout(Duration::from_millis(*milliseconds), released).await;
            };
            if rule.after_commit {
                let response = service.await;
                delay.await;
                return Some(response);
            }
            delay.await;
            return Some(service.await);
        }
        _ if rule.after_commit => drop(service.await),
        _ => {}
    }
    match &rule.action {
        FaultAction::Drop | FaultAction::DelayMilliseconds(_) => None,
        FaultAction::RevokeToken => {
            shared.state.lock().revoked_tokens.extend(token::bearer(headers).map(str::to_owned));
            Some(reply::html(401, "Unauthorized"))
        }
        FaultAction::Answer { status, body, retry_after_seconds } => {
            let mut response = match body {
                FaultBody::Odata => {
                    let format = Format::of_accept(headers).unwrap_or(Format::Verbose);
                    render::error(&AmsError::new(*status, "Server is busy: this fault was asked for"), format)
                }
                FaultBody::Html => reply::html(*status, "The service is unavailable"),
                FaultBody::Empty => reply::empty(*status),
            };
            if let Some(seconds) = retry_after_seconds {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Some(response)
        }
    }
}

async fn read(shared: &Shared, place: &Place, request: axum::extract::Request) -> Result<Call, Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| reply::html(413, "Request Too Large"))?;
    let override_method = parts.headers.get("x-http-method").and_then(|value| value.to_str().ok());
    let method = match override_method {
        Some(method) if parts.method == "POST" => method.trim().to_ascii_uppercase(),
        _ => parts.method.as_str().to_owned(),
    };
    let segments = if place.kind == DoorKind::Cluster { path::parse(parts.uri.path()) } else { None };
    let request = Request {
        time: OffsetDateTime::now_utc(),
        door: place.kind,
        method,
        path: parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string),
        entity_set: segments.and_then(|segments| segments.into_iter().next()).map(|segment| segment.name),
        account: match place.kind {
            DoorKind::Streaming => place.account.clone(),
            _ => caller(shared, place, &parts.headers),
        },
        status: 0,
    };
    Ok(Call { request, uri: parts.uri, headers: parts.headers, body })
}

/// The account that a good token opens at this place. A principal may have roles on several accounts: the place chooses
/// then, and where it leaves a choice the first by name.
fn caller(shared: &Shared, place: &Place, headers: &HeaderMap) -> Option<String> {
    let token = token::bearer(headers)?;
    let state = shared.state.lock();
    if state.revoked_tokens.contains(token) {
        return None;
    }
    match shared.mint.bearer_of(token)? {
        Bearer::Account(name) => Some(name),
        Bearer::Entra { tenant, subject } => {
            let is_here = |account: &&Account| {
                place.account.as_ref().is_none_or(|name| *name == account.name)
                    && place.data_centre.as_ref().is_none_or(|data_centre| *data_centre == account.data_centre)
            };
            let mut accounts = state.accounts.values().filter(is_here);
            accounts.find(|account| account.lets_in(&tenant, &subject)).map(|account| account.name.clone())
        }
    }
}
