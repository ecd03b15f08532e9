//! Tokens of either kind of door: fetched by one task at a time, kept until shortly before they expire (contract ams-v2,
//! sections 1.1 and 1.2).

use std::time::{Duration, Instant};

use serde::Deserialize;
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::classify::{CallError, classify};
use super::{identity, wire};
use crate::failure::{Failure, Part};
use crate::http::{HttpClient, Method, Request};
use crate::model::SiteName;
use crate::settings::{Identity, Secret};

/// How long before its end a token is renewed, as the .NET SDK does; half of its life where that is shorter.
const MARGIN: Duration = Duration::from_secs(600);
/// The life of a token that does not say.
const UNSAID_LIFE: Duration = Duration::from_secs(1200);
/// How long an old but valid token is used before the door is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tokens of one account.
pub struct Tokens {
    site: SiteName,
    http: HttpClient,
    identity: Identity,
    /// Held while a token is fetched, so that one task fetches and the others wait for what it gets.
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    token: Option<Token>,
    /// When the last fetch failed, and how: the answer for all who waited for it.
    failed: Option<(Instant, CallError)>,
}

impl Cached {
    /// How a fetch has failed since `asked_at`. Where the door hangs, they would else try it one after the other.
    fn failed_since(&self, asked_at: Instant) -> Option<CallError> {
        self.failed.as_ref().filter(|(at, _)| *at >= asked_at).map(|(_, error)| copy_of(error))
    }
}

struct Token {
    text: Secret,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default, deserialize_with = "wire::float")]
    expires_in: Option<f64>,
}

impl Tokens {
    pub fn new(site: SiteName, http: HttpClient, identity: Identity) -> Self {
        Self { site, http, identity, cached: Mutex::default() }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A token that is valid for some time yet.
    pub async fn get(&self) -> Result<Secret, CallError> {
        let asked_at = Instant::now();
        let mut cached = self.cached.lock().await;
        if let Some(token) = cached.token.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.text.clone());
        }
        let error = match self.fetch_into(&mut cached, asked_at).await {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let is_of_use = |token: &&mut Token| Instant::now() < token.ends_at && error.failure.is_transient();
        match cached.token.as_mut().filter(is_of_use) {
            Some(old) => {
                tracing::warn!(site = %self.site, error = %error.failure, "token not renewed, the old one is used");
                old.renew_at = Instant::now() + PATIENCE;
                Ok(old.text.clone())
            }
            None => Err(error),
        }
    }

    /// A token other than `refused`, which the service would not take.
    pub async fn renew(&self, refused: &Secret) -> Result<Secret, CallError> {
        let asked_at = Instant::now();
        let mut cached = self.cached.lock().await;
        match cached.token.as_ref() {
            Some(token) if token.text.expose() != refused.expose() => Ok(token.text.clone()),
            _ => {
                cached.token = None;
                self.fetch_into(&mut cached, asked_at).await
            }
        }
    }

    /// A new token, or the failure of the fetch that the caller has waited for.
    async fn fetch_into(&self, cached: &mut Cached, asked_at: Instant) -> Result<Secret, CallError> {
        if let Some(error) = cached.failed_since(asked_at) {
            return Err(error);
        }
        match self.fetch().await {
            Ok(token) => Ok(cached.token.insert(token).text.clone()),
            Err(error) => {
                cached.failed = Some((Instant::now(), copy_of(&error)));
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Token, CallError> {
        let form = identity::form(&self.identity, OffsetDateTime::now_utc()).map_err(|error| {
            let failure = Failure::transient("assertion-not-signed", error.to_string());
            CallError::before(failure.at_site(&self.site))
        })?;
        let request = Request::new(Method::POST, identity::token_url(&self.identity).clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.body);
        let before = Instant::now();
        let sent = self.http.send(request).await;
        let response =
            sent.map_err(|error| CallError::before(error.into_failure(&self.site).of_part(Part::MediaService)))?;
        if !response.is_success() {
            let mut failure = classify("POST token", &response, form.secret.expose(), &self.site).failure;
            if let Some(hint) = identity::hint(&self.identity, &response) {
                failure.code = "token-refused";
                failure = failure.with_hint(hint);
            }
            return Err(CallError::before(failure));
        }
        let answer: Answer = serde_json::from_slice(&response.body).map_err(|error| {
            let unreadable = CallError::unreadable("POST token", &error, &self.site);
            let hint = format!("check {}", identity::token_url_key(&self.identity));
            CallError::before(unreadable.failure.with_hint(hint))
        })?;
        tracing::debug!(site = %self.site, identity = %self.identity, "token fetched");
        let life = life(&answer, OffsetDateTime::now_utc());
        let ends_at = before + life;
        Ok(Token { text: Secret::new(&answer.access_token), renew_at: ends_at - MARGIN.min(life / 2), ends_at })
    }
}

/// All but the cause behind it, which only one can have.
fn copy_of(error: &CallError) -> CallError {
    let of = &error.failure;
    let mut failure = Failure::transient(of.code, of.message.as_ref());
    (failure.kind, failure.hint, failure.step, failure.site) = (of.kind, of.hint.clone(), of.step, of.site.clone());
    failure.part = of.part;
    CallError { failure, ..*error }
}

/// What `expires_in` says, else what the token itself says in `ExpiresOn` (unix seconds).
fn life(answer: &Answer, now: OffsetDateTime) -> Duration {
    let of_token = || {
        let end = answer.access_token.split('&').find_map(|pair| pair.strip_prefix("ExpiresOn="))?;
        Some(end.parse::<f64>().ok()? - now.unix_timestamp() as f64)
    };
    let seconds = answer.expires_in.or_else(of_token).filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    seconds.map_or(UNSAID_LIFE, |seconds| Duration::from_secs_f64(seconds.min(86_400.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_life_of_a_token_is_read_in_every_form() {
        let now = datetime!(2026-11-20 10:00 UTC);
        let life = |json: &str| life(&serde_json::from_str(json).unwrap(), now).as_secs();
        assert_eq!(life(r#"{"access_token":"x","expires_in":"21600"}"#), 21600);
        assert_eq!(life(r#"{"access_token":"x","expires_in":3600}"#), 3600);
        let swt = format!("Audience=urn%3aX&ExpiresOn={}&HMACSHA256=s", now.unix_timestamp() + 60);
        assert_eq!(life(&format!(r#"{{"access_token":"{swt}"}}"#)), 60);
        assert_eq!(life(r#"{"access_token":"x"}"#), 1200);
    }
}
