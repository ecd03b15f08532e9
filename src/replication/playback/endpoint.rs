//! One site's streaming endpoint as a player meets it: manifests, and how long a piece of media is.

use std::time::Duration;

use backon::Retryable;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use url::Url;

use super::facts::Facts;
use crate::failure::{Failure, Part};
use crate::http::{FullJitter, Method, Request, Response, TRY_WITHIN, retry_after};
use crate::model::{ManifestProof, Protocol, join_path};
use crate::replication::sites::Site;

/// How soon to ask again for a manifest whose locator is not visible yet: locators need up to 30-40 seconds
/// (contract ams-v2, section 4.4).
const LOCATOR_CHECK: Duration = Duration::from_secs(5);

/// A wait that an endpoint wants longer than this is for the retry queues.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A page of another host, as which we ask what a browser would be told (RFC 2606 keeps this name free).
const PAGE: &str = "https://player.example";

pub(super) const HINT: &str =
    "open the URL in a player: if the source itself does not play, its files or its streaming endpoint are at fault";

/// A streaming endpoint.
#[derive(Debug)]
pub struct Endpoint<'a> {
    pub site: &'a Site,
    /// Scheme, host, port and base path.
    pub base: Url,
    /// What it serves may be so new that it is not served yet.
    pub is_new: bool,
    /// Tries of one request.
    pub tries: usize,
}

/// A manifest as it was served.
#[derive(Debug)]
pub struct Served {
    pub protocol: Protocol,
    /// The name that its path stands for.
    name: String,
    encoding: Option<String>,
    body: Bytes,
    pub proof: ManifestProof,
}

impl Served {
    /// What a player would see of it.
    pub async fn facts(&self) -> Result<Facts, Failure> {
        let (protocol, name, encoding, body) =
            (self.protocol, self.name.clone(), self.encoding.clone(), self.body.clone());
        // It may take a while, and others are waiting for this thread.
        let read = spawn_blocking(move || Facts::read(protocol, &name, encoding.as_deref(), &body)).await;
        let read = read.unwrap_or_else(|error| Err(format!("cannot be read: {error}")));
        read.map_err(|problem| {
            let message = format!("{} manifest {problem}", self.protocol.name());
            Failure::transient("manifest-unreadable", message).at_site(&self.proof.site)
        })
    }

    /// Whether the other one is the same, byte for byte.
    pub fn is(&self, other: &Self) -> bool {
        self.encoding == other.encoding && self.body == other.body
    }

    /// Whether it has this in its text, where it is not compressed.
    pub fn says(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.body).contains(text)
    }
}

/// How a piece of media is delivered beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Ranges of bytes can be asked for.
    pub has_ranges: bool,
    /// What a page of another host is allowed, as the CORS headers say it.
    pub cors: Vec<String>,
}

impl Endpoint<'_> {
    /// Fetches the manifest at `path`, which begins with a slash and is written as in an address.
    pub async fn manifest(&self, protocol: Protocol, path: &str) -> Result<Served, Failure> {
        let answer = self.send(&Request::new(Method::GET, self.url(path)?)).await?;
        if let Some(failure) = self.refusal(&answer, &format!("{} manifest", protocol.name())) {
            return Err(failure.at_site(&self.site.name));
        }
        let sha256 = Sha256::digest(&answer.body).iter().map(|byte| format!("{byte:02x}")).collect();
        let proof = ManifestProof { site: self.site.name.clone(), protocol, status: answer.status, sha256 };
        let encoding = answer.header("content-encoding").map(str::to_owned);
        Ok(Served { protocol, name: decoded(path), encoding, body: answer.body, proof })
    }

    /// How many bytes of media are at `path`, as HEAD says, or a range where HEAD is refused. Tries a few times.
    pub async fn length(&self, path: &str) -> Result<Option<u64>, Failure> {
        let (url, begun) = (self.url(path)?, std::time::Instant::now());
        let ask = async || {
            let head = self.send(&Request::new(Method::HEAD, url.clone())).await?;
            let length = head.header("content-length").and_then(|length| length.parse().ok());
            if head.status == 200 && length.is_some() {
                return Ok(length);
            }
            if head.status != 200 && !matches!(head.status, 403 | 405 | 501) {
                return Err(self.refused_piece(&head, path));
            }
            let range = self.send(&Request::new(Method::GET, url.clone()).header("range", "bytes=0-0")).await?;
            match range.status {
                206 => Ok(range.header("content-range").and_then(|all| all.rsplit('/').next()?.parse().ok())),
                200 => Ok(Some(range.body.len() as u64)),
                _ => Err(self.refused_piece(&range, path)),
            }
        };
        ask.retry(FullJitter::for_tries(self.tries))
            .when(move |failure: &Failure| failure.is_transient() && begun.elapsed() < TRY_WITHIN)
            .adjust(|failure, wait| match failure.retry_after() {
                Some(asked) if asked > LONGEST_WAIT => None,
                asked => wait.map(|wait| wait.max(asked.unwrap_or_default())),
            })
            .await
    }

    /// How the media at `path` are delivered.
    pub async fn delivery(&self, path: &str) -> Result<Delivery, Failure> {
        let request = Request::new(Method::GET, self.url(path)?).header("range", "bytes=0-0").header("origin", PAGE);
        let answer = self.send(&request).await?;
        if !matches!(answer.status, 200 | 206) {
            return Err(self.refused_piece(&answer, path));
        }
        // not which headers are exposed: of a rule for all, a service names those that it happens to send
        const CORS: [&str; 2] = ["access-control-allow-origin", "access-control-allow-credentials"];
        let cors = CORS.iter().filter_map(|name| Some(format!("{name}: {}", answer.header(name)?))).collect();
        Ok(Delivery { has_ranges: answer.status == 206, cors })
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        join_path(&self.base, path).map_err(|error| {
            Failure::permanent("streaming-url", format!("streaming URLs cannot be built: {error}"))
                .at_site(&self.site.name)
        })
    }

    async fn send(&self, request: &Request) -> Result<Response, Failure> {
        let answer = self.site.player.send(request.clone()).await;
        answer.map_err(|error| error.into_failure(&self.site.name).of_part(Part::Streaming))
    }

    fn refused_piece(&self, answer: &Response, path: &str) -> Failure {
        let message = format!("'{}' answers {}", decoded(path), answer.status);
        let failure = Failure::transient("segment-unavailable", message).with_retry_after(retry_after(answer));
        let is_down = matches!(answer.status, 408 | 429 | 500..);
        let failure = if is_down { failure.of_part(Part::Streaming) } else { failure };
        failure.with_hint(HINT).at_site(&self.site.name)
    }

    fn refusal(&self, answer: &Response, what: &str) -> Option<Failure> {
        Some(match answer.status {
            200 => return None,
            status @ (401 | 403 | 404) if self.is_new => {
                let message = format!("{what} answers {status}, the locator may not be visible yet");
                Failure::needs_more_time("locator-not-visible", message, LOCATOR_CHECK).with_hint(HINT)
            }
            410 => Failure::permanent("locator-expired", format!("{what} answers 410: the locator has expired"))
                .with_hint("publish the asset again at the source, then replay"),
            status @ (401 | 403 | 404 | 408 | 429 | 500..=599) => {
                let wait = retry_after(answer);
                let message = format!("{what} answers {status}");
                let failure =
                    Failure::transient("manifest-unavailable", message).with_retry_after(wait).with_hint(HINT);
                // The others are about this asset, not about the endpoint.
                let is_down = matches!(status, 408 | 429 | 500..);
                if is_down { failure.of_part(Part::Streaming) } else { failure }
            }
            status => Failure::permanent("manifest-refused", format!("{what} answers {status}")).with_hint(
                "the streaming endpoint must answer 200 without redirects: check streaming_url of this site",
            ),
        })
    }
}

/// A path of an address as the name that it stands for.
fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path.trim_start_matches('/')).decode_utf8_lossy().into_owned()
}
