//! Tokens in the shapes that ACS (SWT) and Entra (JWT) gave, signed so that a garbled one is found out.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use uuid::Uuid;

const SIGNATURE: &str = "&HMACSHA256=";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// The account that gave its key to ACS.
    Account(String),
    /// A principal or user of a tenant; which accounts let it in is theirs to say.
    Entra { tenant: String, subject: Subject },
}

/// Who signed in at Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An application, by its id.
    Application(String),
    /// A user, by name.
    User(String),
}

/// What Entra puts into a token.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) tenant: String,
    /// The application that asked: the principal itself, or a public client for a user.
    pub(crate) client_id: String,
    pub(crate) subject: Subject,
    /// `appidacr`: 0 public client, 1 secret, 2 certificate.
    pub(crate) proof: &'static str,
    pub(crate) lifetime_seconds: u64,
}

impl Grant {
    /// The end of a token that is issued now, in Unix seconds.
    pub(crate) fn expires_on(&self, now: i64) -> i64 {
        now.saturating_add(i64::try_from(self.lifetime_seconds).unwrap_or(i64::MAX))
    }
}

/// Makes and checks tokens.
pub(crate) struct Mint {
    key: [u8; 16],
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Mint(..)")
    }
}

impl Mint {
    pub(crate) fn new() -> Self {
        Self { key: *Uuid::new_v4().as_bytes() }
    }

    /// A token for an account: `&`-joined claims, encoded, with `ExpiresOn` in Unix seconds and the signature last
    /// (contract ams-v2 section 1.1). A claim of its own makes every token different.
    pub(crate) fn token(&self, account: &str, lifetime_seconds: u64) -> String {
        let lifetime = i64::try_from(lifetime_seconds).unwrap_or(i64::MAX);
        let expires_on = OffsetDateTime::now_utc().unix_timestamp().saturating_add(lifetime);
        let claims = [
            (NAME, account),
            ("urn:SubscriptionId", "00000000-0000-0000-0000-000000000000"),
            ("urn:TokenId", &Uuid::new_v4().to_string()),
            ("Audience", super::acs::SCOPE),
            ("ExpiresOn", &expires_on.to_string()),
            ("Issuer", "https://emulator.accesscontrol.invalid/"),
        ];
        let claims: Vec<String> =
            claims.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let claims = claims.join("&");
        let signature = encode(&self.sign(&claims));
        format!("{claims}{SIGNATURE}{signature}")
    }

    /// A token for a principal or user: a JWT by its looks, with the claims of version 1 that matter here.
    pub(crate) fn jwt(&self, grant: &Grant, resource: &str, now: i64) -> String {
        let mut claims = json!({
            "aud": resource,
            "iss": format!("https://sts.windows.net/{}/", grant.tenant),
            "iat": now, "nbf": now, "exp": grant.expires_on(now),
            "appid": grant.client_id,
            "appidacr": grant.proof,
            "tid": grant.tenant,
            "uti": Uuid::new_v4(),
            "ver": "1.0",
        });
        if let Subject::User(name) = &grant.subject {
            claims["upn"] = json!(name);
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({"typ": "JWT", "alg": "HS256"})), encode(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(&signed));
        format!("{signed}.{signature}")
    }

    /// Whom a token speaks for, when the token is ours, whole and not expired.
    pub(crate) fn bearer_of(&self, token: &str) -> Option<Bearer> {
        if token.contains(SIGNATURE) {
            return self.account_of(token).map(Bearer::Account);
        }
        let (signed, signature) = token.rsplit_once('.')?;
        if URL_SAFE_NO_PAD.decode(signature).ok()? != self.sign(signed).as_bytes() {
            return None;
        }
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?).ok()?;
        if claims["exp"].as_i64()? <= OffsetDateTime::now_utc().unix_timestamp() {
            return None;
        }
        let text = |name: &str| claims[name].as_str().map(str::to_owned);
        let subject = text("upn").map(Subject::User).or_else(|| text("appid").map(Subject::Application))?;
        Some(Bearer::Entra { tenant: text("tid")?, subject })
    }

    fn account_of(&self, token: &str) -> Option<String> {
        let (claims, signature) = token.split_once(SIGNATURE)?;
        if decode(signature)? != self.sign(claims) {
            return None;
        }
        let claim = |wanted: &str| {
            let mut pairs = claims.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| decode(name).as_deref() == Some(wanted)).and_then(|(_, value)| decode(value))
        };
        let expires_on: i64 = claim("ExpiresOn")?.parse().ok()?;
        if expires_on <= OffsetDateTime::now_utc().unix_timestamp() {
            return None;
        }
        claim(NAME)
    }

    fn sign(&self, claims: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(claims.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &axum::http::HeaderMap) -> Option<&str> {
    let value = headers.get(axum::http::header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer "))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_account_until_they_expire() {
        let mint = Mint::new();
        let token = mint.token("west", 60);
        assert_eq!(mint.account_of(&token).as_deref(), Some("west"));
        assert_eq!(mint.account_of(&token.replace("west", "east")), None);
        assert_eq!(mint.account_of(&mint.token("west", 0)), None);
        assert_eq!(Mint::new().account_of(&token), None);
        assert_ne!(token, mint.token("west", 60));
        assert_eq!(mint.bearer_of(&token), Some(Bearer::Account("west".to_owned())));
    }

    #[test]
    fn jwts_name_their_principal_until_they_expire() {
        let mint = Mint::new();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let grant = |lifetime_seconds| Grant {
            tenant: "contoso".to_owned(),
            client_id: "app".to_owned(),
            subject: Subject::Application("app".to_owned()),
            proof: "1",
            lifetime_seconds,
        };
        let token = mint.jwt(&grant(60), "https://media", now);
        let subject = Subject::Application("app".to_owned());
        assert_eq!(mint.bearer_of(&token), Some(Bearer::Entra { tenant: "contoso".to_owned(), subject }));
        assert_eq!(mint.bearer_of(&format!("{token}x")), None);
        assert_eq!(mint.bearer_of(&mint.jwt(&grant(0), "https://media", now)), None);
        assert_eq!(Mint::new().bearer_of(&token), None);
        assert_ne!(token, mint.jwt(&grant(60), "https://media", now), "every token is another");
    }
}
