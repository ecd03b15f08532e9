//! One request through the proxy: choose a fault, pass on, rewrite, note down.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use reqwest::Url;

use super::copies::Abort;
use super::rule::{Action, ErrorAnswer, choose};
use super::socket::Cutter;
use super::{Seen, State, listing, lock};

/// Headers about one connection (RFC 9110, section 7.6.1); `Expect` is answered by each server itself.
const OF_CONNECTION: [header::HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::HeaderName::from_static("keep-alive"),
];

/// Answers one request; where the connection is to be cut, what it returns is never sent.
pub(super) async fn handle(
    Extract(state): Extract<Arc<State>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
) -> Response {
    // before a copy between accounts Azurite asks itself for the source, under its HTTP library's name
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    if agent.is_some_and(|agent| agent.starts_with("axios/")) {
        return forward(&state, request).await.unwrap_or_else(|_| cut(&cutter));
    }
    let index = note_request(&state, &request);
    let _in_flight = InFlight::enter(&state);
    let answer = misbehave(&state, request).await.ok().flatten();
    if let (Some(answer), Some(seen)) = (&answer, lock(&state.log).get_mut(index)) {
        seen.status = Some(answer.status().as_u16());
    }
    answer.unwrap_or_else(|| cut(&cutter))
}

/// Counts a request as waiting, also when its client gives up and drops the handler.
struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn enter(state: &'a State) -> Self {
        let now = state.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        state.peak_in_flight.fetch_max(now, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn cut(cutter: &Cutter) -> Response {
    cutter.cut();
    Response::new(Body::empty())
}

/// The answer, or `None` to cut the connection.
async fn misbehave(state: &State, request: Request) -> Result<Option<Response>> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // of the requests about a pending copy only an abort of it can meet a fault
    let is_abort = method == Method::PUT && uri.query().is_some_and(|query| query.contains("comp=copy"));
    if let Some(answer) = answer_for_pending_copy(state, &method, &uri, !is_abort)? {
        return Ok(Some(answer));
    }
    let (delay, action) = choose(&lock(&state.rules), &method, &uri, request.headers());
    tokio::time::sleep(delay).await;
    if let Some(answer) = answer_for_pending_copy(state, &method, &uri, is_abort && action.is_none())? {
        return Ok(Some(answer));
    }
    let with_body = method != Method::HEAD;
    Ok(match action {
        Some(Action::Answer(error)) => Some(error_answer(&error, with_body)?),
        Some(Action::AnswerAfter(error)) => {
            forward(state, request).await?;
            Some(error_answer(&error, with_body)?)
        }
        Some(Action::Cut) => None,
        Some(Action::CutAfter) => {
            forward(state, request).await?;
            None
        }
        Some(Action::Hang) => std::future::pending().await,
        Some(Action::PendingCopy { looks, outcome }) => {
            let mut answer = forward(state, request).await?;
            if answer.status() == StatusCode::ACCEPTED {
                let id = answer.headers().get("x-ms-copy-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
                lock(&state.copies).start(uri.path(), id.to_owned(), looks, outcome);
                answer.headers_mut().insert("x-ms-copy-status", HeaderValue::from_static("pending"));
            }
            Some(answer)
        }
        Some(Action::EditList(edit)) => {
            let answer = tell_of_copies(state, &method, &uri, forward(state, request).await?).await?;
            Some(rewrite(answer, |xml| edit.apply(xml)).await?)
        }
        Some(Action::Delay(_)) | None => {
            let answer = forward(state, request).await?;
            Some(tell_of_copies(state, &method, &uri, answer).await?)
        }
    })
}

/// A blob with a pending copy takes an abort of it and refuses to be written (Copy Blob, Abort Copy Blob, Azure Blob REST).
fn answer_for_pending_copy(state: &State, method: &Method, uri: &Uri, is_due: bool) -> Result<Option<Response>> {
    if !is_due {
        return Ok(None);
    }
    let mut copies = lock(&state.copies);
    let query = uri.query().unwrap_or_default();
    if method == Method::PUT && copies.is_pending(uri.path()) {
        if query.contains("comp=copy") {
            let id = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "copyid");
            return match copies.abort(uri.path(), &id.map(|(_, id)| id).unwrap_or_default()) {
                Abort::Done => Ok(Some(Response::builder().status(StatusCode::NO_CONTENT).body(Body::empty())?)),
                Abort::OtherCopy => conflict("CopyIdMismatch").map(Some),
            };
        }
        if !query.contains("comp=") {
            return conflict("PendingCopyOperation").map(Some);
        }
    }
    let is_written = method == Method::PUT && (!query.contains("comp=") || query.contains("comp=blocklist"));
    if is_written || method == Method::DELETE {
        copies.forget(uri.path());
    }
    Ok(None)
}

/// Makes an answer from Azurite say what the proxy wants known about copies.
async fn tell_of_copies(state: &State, method: &Method, uri: &Uri, mut answer: Response) -> Result<Response> {
    if !matches!(*method, Method::GET | Method::HEAD) || !answer.status().is_success() {
        return Ok(answer);
    }
    let query = uri.query().unwrap_or_default();
    if !query.contains("comp=") {
        let is_empty = lock(&state.copies).look_at_headers(uri.path(), answer.headers_mut());
        if is_empty {
            *answer.body_mut() = Body::empty();
        }
    } else if query.contains("comp=list") && query.contains("restype=container") && !lock(&state.copies).is_empty() {
        let with_copies = url::form_urlencoded::parse(query.as_bytes())
            .any(|(name, value)| name == "include" && value.split(',').any(|what| what == "copy"));
        let container = uri.path().trim_end_matches('/').to_owned();
        return rewrite(answer, |xml| {
            let mut copies = lock(&state.copies);
            listing::set_properties(xml, |name| copies.look_at_properties(&container, name, with_copies))
        })
        .await;
    }
    Ok(answer)
}

/// Reads a whole body, changes it, and sends it with its new length.
async fn rewrite(answer: Response, change: impl FnOnce(String) -> Result<String>) -> Result<Response> {
    let (mut head, body) = answer.into_parts();
    let text = String::from_utf8(axum::body::to_bytes(body, 64 << 20).await?.to_vec())?;
    let text = if head.status.is_success() { change(text)? } else { text };
    head.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(head, Body::from(text)))
}

/// Sends the request to Azurite as it is; bodies stream in both directions.
async fn forward(state: &State, request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let url = Url::parse(&format!("http://{}{target}", state.upstream))?;
    let has_body = head.headers.contains_key(header::TRANSFER_ENCODING)
        || head.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    let mut outgoing = reqwest::Request::new(head.method, url);
    *outgoing.headers_mut() = without_connection_headers(head.headers);
    if let Some(host) = copy_source(outgoing.headers()).and_then(|url| host_and_port(&url)) {
        outgoing.headers_mut().insert(header::HOST, HeaderValue::from_str(&host)?);
    }
    if has_body {
        *outgoing.body_mut() = Some(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let incoming = state.client.execute(outgoing).await.context("azurite does not answer the fault proxy")?;
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = incoming.status();
    *answer.headers_mut() = without_connection_headers(incoming.headers().clone());
    *answer.body_mut() = Body::from_stream(incoming.bytes_stream());
    Ok(answer)
}

fn without_connection_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    headers
}

fn copy_source(headers: &HeaderMap) -> Option<Url> {
    headers.get("x-ms-copy-source")?.to_str().ok()?.parse().ok()
}

fn host_and_port(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn conflict(code: &str) -> Result<Response> {
    error_answer(&ErrorAnswer { status: 409, code: code.to_owned(), headers: Vec::new() }, true)
}

/// An error in the storage service's shape ("Status and error codes", Azure Storage REST).
fn error_answer(error: &ErrorAnswer, with_body: bool) -> Result<Response> {
    let ErrorAnswer { status, code, headers } = error;
    let mut answer = Response::builder().status(*status).header("x-ms-error-code", code);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>injected by the fault \
         proxy</Message></Error>"
    );
    let body = if with_body { Body::from(body) } else { Body::empty() };
    Ok(answer.header(header::CONTENT_TYPE, "application/xml").body(body)?)
}

/// Notes a request down and returns its place in the log.
fn note_request(state: &State, request: &Request) -> usize {
    let query = request.uri().query().unwrap_or_default();
    let query = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("sig=")).collect::<Vec<_>>();
    let path = request.uri().path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
    let copy_source = copy_source(request.headers()).map(|url| url.path().to_owned());
    let mut log = lock(&state.log);
    log.push(Seen { method: request.method().to_string(), target, copy_source, status: None });
    log.len() - 1
}
