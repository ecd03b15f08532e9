//! Small replies that several doors give.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// An answer without a body.
pub(crate) fn empty(status: u16) -> Response<Body> {
    with_body(status, None, Body::empty())
}

/// An HTML page, as from IIS or a gateway.
pub(crate) fn html(status: u16, text: &str) -> Response<Body> {
    let page = format!("<html><head><title>{text}</title></head>\r\n<body><h1>{status} {text}</h1></body></html>\r\n");
    with_body(status, Some("text/html; charset=utf-8"), Body::from(page))
}

/// Plain JSON, without OData.
pub(crate) fn json(status: u16, value: &Value) -> Response<Body> {
    with_body(status, Some("application/json; charset=utf-8"), Body::from(value.to_string()))
}

/// Any body.
pub(crate) fn with_body(status: u16, content_type: Option<&str>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(value) = content_type.and_then(|content_type| HeaderValue::from_str(content_type).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}
