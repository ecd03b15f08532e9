//! An answer on its way out: headers, and a body that is computed while it is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::state::content::Content;

/// What the model answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Outgoing,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: HeaderMap::with_capacity(16), body: Outgoing::Whole(Bytes::new()) }
    }

    /// Adds a header; a value that no header can carry is left out.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            self.headers.insert(name, value);
        }
    }

    /// With a header that never changes, the cheap way.
    pub(crate) fn fixed(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    pub(crate) fn xml(self, body: String) -> Self {
        let mut answer = self.fixed("content-type", "application/xml");
        answer.body = Outgoing::Whole(body.into());
        answer
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        let mut answer = Self::new(status);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer.body = Outgoing::Whole(value.to_string().into());
        answer
    }

    pub(crate) fn content(mut self, content: Content) -> Self {
        self.body = Outgoing::Content { content, sent: 0 };
        self
    }

    /// How many bytes its body has.
    pub(crate) fn size(&self) -> u64 {
        match &self.body {
            Outgoing::Whole(bytes) => bytes.len() as u64,
            Outgoing::Content { content, .. } => content.size(),
        }
    }

    /// `of_head` keeps the length that it would have with a body.
    pub(crate) fn into_response(mut self, of_head: bool) -> Response<Outgoing> {
        let has_length = self.headers.contains_key(CONTENT_LENGTH);
        if !has_length && self.status != StatusCode::NOT_MODIFIED {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.size()));
        }
        let body = if of_head { Outgoing::Whole(Bytes::new()) } else { self.body };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// A body: bytes, or content that is computed in chunks.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Whole(Bytes),
    Content { content: Content, sent: u64 },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let chunk = match self.get_mut() {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Content { content, sent } => {
                let chunk = content.chunk(*sent);
                *sent += chunk.len() as u64;
                chunk
            }
        };
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Content { content, sent } => content.size() - sent,
        })
    }
}
