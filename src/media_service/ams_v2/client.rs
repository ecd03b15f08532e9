//! One call to the service: token, root, redirects, and trying again where that is safe.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, Retryable};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::time::sleep;
use url::Url;

use super::classify::{CallError, classify};
use super::identity::unauthorized_hint;
use super::token::Tokens;
use crate::failure::Failure;
use crate::http::{AllowList, FullJitter, HttpClient, Method, Request, Response, TRY_WITHIN};
use crate::model::{Cloud, SiteName};
use crate::settings::{Identity, MediaSettings, Secret};

/// The version that a new client sends (contract ams-v2, section 2.1).
const API_VERSION: &str = "2.19";
const VERBOSE_JSON: &str = "application/json;odata=verbose";
/// Redirects followed for one call (contract ams-v2, section 1.3).
const MAX_HOPS: usize = 3;
/// A longer wait that the service asks for is left to the retry queues.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What is asked of the service.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    /// Relative to the root, already percent-encoded.
    pub resource: String,
    pub body: Option<Value>,
}

impl Call {
    /// Verb and resource for people, without the query.
    pub fn name(&self) -> String {
        let path = self.resource.split('?').next().unwrap_or_default();
        let path = percent_decode_str(path).decode_utf8_lossy().replace(char::is_control, "?");
        format!("{} {path}", self.method)
    }
}

/// Sends calls to one account; cheap to clone, clones share token and root.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    site: SiteName,
    account: String,
    http: HttpClient,
    tokens: Tokens,
    allowed: AllowList,
    front_door: Url,
    /// Where the front door has sent us; the front door itself before that.
    root: RwLock<Url>,
    tries: usize,
}

impl Client {
    pub fn new(
        site: &SiteName,
        cloud: Cloud,
        settings: &MediaSettings,
        http: HttpClient,
        tries: usize,
    ) -> Result<Self, Failure> {
        let wrong = |(key, problem): (&str, String)| {
            Failure::permanent("media-settings", format!("sites.{site}.{key} {problem}")).at_site(site)
        };
        let identity = settings.identity(cloud).map_err(|mut problems| wrong(problems.swap_remove(0)))?;
        let front_door = as_root(settings.api_root(cloud).map_err(wrong)?);
        Ok(Self(Arc::new(Inner {
            site: site.clone(),
            account: settings.account.clone(),
            tokens: Tokens::new(site.clone(), http.clone(), identity),
            http,
            allowed: AllowList::new(&front_door, cloud, &settings.allowed_hosts),
            root: RwLock::new(front_door.clone()),
            front_door,
            tries,
        })))
    }

    pub fn site(&self) -> &SiteName {
        &self.0.site
    }

    pub fn account(&self) -> &str {
        &self.0.account
    }

    /// Where calls go now.
    pub fn root(&self) -> Url {
        self.0.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn front_door(&self) -> &Url {
        &self.0.front_door
    }

    fn set_root(&self, root: &Url) {
        *self.0.root.write().unwrap_or_else(PoisonError::into_inner) = root.clone();
    }

    /// The pauses between tries, for those who must look before they repeat.
    pub fn pauses(&self) -> Pauses {
        Pauses(Box::new(FullJitter::for_tries(self.0.tries).build()))
    }

    /// Sends `call`, and again where that helps: always for what may be repeated, and for POST where nothing can have
    /// happened (contract ams-v2, section 5.3). The answer's status is one of 200 to 299.
    pub async fn send(&self, call: Call) -> Result<Response, CallError> {
        let (repeatable, begun) = (call.method != Method::POST, Instant::now());
        (|| self.try_once(&call))
            .retry(FullJitter::for_tries(self.0.tries))
            .when(|error| {
                let may_be_repeated = repeatable || error.nothing_happened;
                error.failure.is_transient() && may_be_repeated && begun.elapsed() < TRY_WITHIN
            })
            .adjust(|error, pause| wait(&error.failure, pause))
            .notify(|error, pause| {
                tracing::debug!(site = %self.0.site, call = call.name(), ?pause, error = %error.failure, "trying again");
            })
            .await
    }

    async fn try_once(&self, call: &Call) -> Result<Response, CallError> {
        let mut token = self.0.tokens.get().await?;
        let mut token_is_new = false;
        let mut root = self.root();
        let mut hops = 0;
        loop {
            let response = self.exchange(call, &root, &token).await?;
            match response.status {
                200..=299 => return Ok(response),
                301 | 302 | 307 | 308 => {
                    hops += 1;
                    root = self.follow(&response, &root, hops).map_err(|failure| {
                        self.set_root(&self.0.front_door);
                        CallError::before(failure.at_site(&self.0.site))
                    })?;
                    self.set_root(&root);
                }
                401 if !token_is_new => {
                    token = self.0.tokens.renew(&token).await?;
                    token_is_new = true;
                }
                _ => return Err(self.refused(call, &response, &token)),
            }
        }
    }

    fn refused(&self, call: &Call, response: &Response, token: &Secret) -> CallError {
        let mut error = classify(&call.name(), response, token.expose(), &self.0.site);
        if response.status == 401
            && let Some(hint) = unauthorized_hint(self.0.tokens.identity())
        {
            error.failure = error.failure.with_hint(hint);
        }
        error
    }

    /// Who asks for tokens and where, when one is had.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn verify_identity(&self) -> Result<&Identity, CallError> {
        self.0.tokens.get().await?;
        Ok(self.0.tokens.identity())
    }

    /// One request, one answer.
    async fn exchange(&self, call: &Call, root: &Url, token: &Secret) -> Result<Response, CallError> {
        let url = Url::parse(&format!("{root}{}", call.resource)).map_err(|error| {
            let message = format!("{} below {root} is no address: {error}", call.name());
            CallError::before(Failure::permanent("bad-url", message).at_site(&self.0.site))
        })?;
        let own_id = uuid::Uuid::new_v4().to_string();
        let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = Request::new(call.method.clone(), url)
            .header("authorization", format!("Bearer {}", token.expose()))
            .header("accept", VERBOSE_JSON)
            .header("content-type", VERBOSE_JSON)
            .header("dataserviceversion", "3.0")
            .header("maxdataserviceversion", "3.0")
            .header("x-ms-version", API_VERSION)
            .header("x-ms-client-request-id", own_id.as_str())
            .body(body);
        let before = Instant::now();
        let answer = self.0.http.send(request).await;
        let response = answer.map_err(|error| {
            let error = CallError::from_http(error, &self.0.site);
            if error.nothing_happened {
                // The cluster may have moved: the front door knows where to.
                self.set_root(&self.0.front_door);
            }
            error
        })?;
        tracing::debug!(
            site = %self.0.site, call = call.name(), status = response.status, client_request_id = own_id,
            request_id = response.header("x-ms-request-id").or_else(|| response.header("request-id")),
            elapsed_ms = before.elapsed().as_millis(), "media service answered"
        );
        Ok(response)
    }

    /// The root that a redirect names: always the service's root, never the resource (contract ams-v2, section 1.3).
    fn follow(&self, response: &Response, from: &Url, hops: usize) -> Result<Url, Failure> {
        if hops > MAX_HOPS {
            let message = format!("the media service redirected {hops} times, last from {from}");
            return Err(Failure::permanent("redirect-loop", message).with_hint("check media.api_url"));
        }
        let location = response.header("location").and_then(|location| from.join(location).ok());
        let root = as_root(location.ok_or_else(|| {
            let message = format!("{from} redirects without a usable location");
            Failure::permanent("redirect-refused", message).with_hint("check media.api_url")
        })?);
        self.0.allowed.check(&root).map_err(|refusal| {
            let message = format!("{from} redirects to a place that may not be sent our token: {refusal}");
            let hint = "if the host is right, add it to media.allowed_hosts of this site";
            Failure::permanent("redirect-refused", message).with_hint(hint)
        })?;
        if root != *from {
            tracing::debug!(site = %self.0.site, %from, to = %root, "redirected");
        }
        Ok(root)
    }
}

/// The pauses of one looked-after repetition.
pub struct Pauses(Box<dyn Iterator<Item = Duration> + Send>);

impl Pauses {
    /// Waits before the next try.
    ///
    /// # Errors
    /// Gives `failure` back when there have been enough tries.
    pub async fn pause(&mut self, failure: Failure) -> Result<(), Failure> {
        let Some(pause) = wait(&failure, self.0.next()) else { return Err(failure) };
        tracing::debug!(?pause, error = %failure, "looking again");
        sleep(pause).await;
        Ok(())
    }
}

/// The pause before the next try: what the service asks for, and our own jitter on top.
fn wait(failure: &Failure, pause: Option<Duration>) -> Option<Duration> {
    let asked = failure.retry_after().unwrap_or_default();
    pause.filter(|_| asked <= LONGEST_WAIT).map(|pause| pause + asked)
}

/// Without query, with exactly one slash at the end.
fn as_root(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}
