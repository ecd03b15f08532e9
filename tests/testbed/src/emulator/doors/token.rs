//! Tokens in the SWT shape that ACS gave, signed so that a garbled one is found out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use time::OffsetDateTime;
use uuid::Uuid;

const SIGNATURE: &str = "&HMACSHA256=";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";

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

    /// The account of a token, when the token is ours, whole and not expired.
    pub(crate) fn account_of(&self, token: &str) -> Option<String> {
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
    }
}
