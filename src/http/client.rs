//! The HTTP client: no redirects, no cookies, no proxies from the environment, bounded in time and in size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;

use super::bounded::LONGEST_ERROR;
use super::{HttpError, HttpErrorKind, HttpSetupError, Request, Response};
use crate::settings::HttpSettings;
use crate::tls::install_tls_provider;

/// Sends requests; cheap to clone, connections are shared.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    max_response_bytes: usize,
}

impl HttpClient {
    /// A client with the limits of `settings`.
    ///
    /// # Errors
    /// When the system's TLS trust or the file `http.ca_file` cannot be loaded.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpSetupError> {
        let timeout = Duration::from_secs(settings.timeout_seconds);
        let builder = reach(builder(settings, timeout), settings)?;
        let client = builder.build().map_err(|error| HttpSetupError(error.to_string()))?;
        Ok(Self { client, max_response_bytes: settings.max_response_bytes })
    }

    /// Sends one request and reads its answer to the end. Every status is an answer, not an error.
    ///
    /// # Errors
    /// When no whole answer came, told by what may have happened on the other side.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let Request { method, url, headers, body } = request;
        let headers =
            header_map(headers).map_err(|reason| HttpError::new(HttpErrorKind::BadUrl, &method, &url, reason))?;
        let broke = |error| HttpError::from_reqwest(&method, &url, error);
        let mut sending = self.client.request(method.clone(), url.clone()).headers(headers);
        if !body.is_empty() || method == reqwest::Method::POST {
            sending = sending.body(body);
        }
        let mut answer = sending.send().await.map_err(broke)?;
        let (status, headers) = (answer.status().as_u16(), std::mem::take(answer.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(broke)? {
            if !(200..300).contains(&status) && body.len() >= LONGEST_ERROR {
                // what it says of the error is at its beginning; the rest is left where it is
                break;
            }
            if body.len() + chunk.len() > self.max_response_bytes {
                let reason = format!("the answer is longer than {} bytes", self.max_response_bytes);
                return Err(HttpError::new(HttpErrorKind::TooLarge, &method, &url, reason));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body: Bytes::from(body) })
    }
}

/// The rules that every client of this house keeps; `timeout` is for one call, answer included.
pub(super) fn builder(settings: &HttpSettings, timeout: Duration) -> reqwest::ClientBuilder {
    install_tls_provider();
    reqwest::Client::builder()
        .user_agent(concat!("stream-replicator/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(Duration::from_secs(settings.connect_timeout_seconds))
        .timeout(timeout)
}

/// Adds the authorities that are trusted besides the machine's, and the hosts that the DNS is not asked for.
pub(super) fn reach(
    mut builder: reqwest::ClientBuilder,
    settings: &HttpSettings,
) -> Result<reqwest::ClientBuilder, HttpSetupError> {
    for (host, address) in &settings.resolve.0 {
        builder = builder.resolve(host, *address);
    }
    let roots = settings.extra_roots().map_err(HttpSetupError)?;
    let roots = roots.iter().map(|root| reqwest::Certificate::from_der(root)).collect::<Result<Vec<_>, _>>();
    Ok(builder.tls_certs_merge(roots.map_err(|error| HttpSetupError(error.to_string()))?))
}

fn header_map(headers: Vec<(&'static str, String)>) -> Result<HeaderMap, &'static str> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, text) in headers {
        let mut value = HeaderValue::try_from(text).map_err(|_| "a header's value cannot be sent")?;
        value.set_sensitive(name == "authorization");
        map.append(HeaderName::from_static(name), value);
    }
    Ok(map)
}
