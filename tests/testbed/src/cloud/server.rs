//! The model's door: HTTP/1.1 on a loopback port.

use std::fmt;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::answer::Outgoing;
use super::call::{self, Call};
use super::control;
use super::shared::{Shared, too_large};

/// Ends a connection without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

/// Serves until told to stop; connections end then too.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                drop(tokio::spawn(stop.clone().run_until_cancelled_owned(connection(stream, Arc::clone(&shared)))))
            }
            // out of file handles: those of others come back
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    let mut http = http1::Builder::new();
    // how a connection ends is the client's business
    let _ =
        http.timer(TokioTimer::new()).header_read_timeout(None).serve_connection(TokioIo::new(stream), service).await;
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Outgoing>, Cut> {
    let (head, body) = request.into_parts();
    let Some(body) = call::read(body).await else { return Ok(too_large().into_response(false)) };
    if let Some(path) = head.uri.path().strip_prefix("/_model/") {
        return Ok(control::serve(&shared, &head.method, path, &body).await.into_response(false));
    }
    let is_head = head.method == Method::HEAD;
    let call = Call::new(head.method, &head.uri, head.headers, body);
    // what a client has asked for is done, also when it does not wait for the answer
    let answer = tokio::spawn(async move { shared.answer(call).await }).await.ok().flatten();
    answer.map(|answer| answer.into_response(is_head)).ok_or(Cut)
}
