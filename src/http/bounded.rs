//! The storage SDK's view of our client: no answer is longer than the settings allow, whatever a service sends.

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future};

/// Of an error's body so much is read, and the rest is left where it is: it is a few lines of XML.
pub const LONGEST_ERROR: usize = 64 * 1024;

/// Sends as the client inside does.
#[derive(Debug)]
pub struct Bounded {
    client: reqwest::Client,
    max_bytes: usize,
}

impl Bounded {
    /// Answers of at most `max_bytes`.
    pub fn new(client: reqwest::Client, max_bytes: usize) -> Self {
        Self { client, max_bytes }
    }
}

#[async_trait]
impl HttpClient for Bounded {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, headers, body) = self.client.execute_request(request).await?.deconstruct();
        let (mut bytes, max_bytes) = (0_usize, self.max_bytes);
        if status.is_success() {
            let bounded = body.and_then(move |piece: Bytes| {
                bytes = bytes.saturating_add(piece.len());
                future::ready(if bytes > max_bytes { Err(too_long(max_bytes)) } else { Ok(piece) })
            });
            return Ok(AsyncRawResponse::new(status, headers, Box::pin(bounded)));
        }
        let cut = body.scan((), move |(), piece| {
            let before = bytes;
            bytes = bytes.saturating_add(piece.as_ref().map_or(0, Bytes::len));
            future::ready((before < LONGEST_ERROR).then_some(piece))
        });
        Ok(AsyncRawResponse::new(status, headers, Box::pin(cut)))
    }
}

fn too_long(max_bytes: usize) -> Error {
    Error::with_message(ErrorKind::DataConversion, format!("the answer is longer than {max_bytes} bytes"))
}
