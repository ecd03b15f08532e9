//! What is said to the two kinds of token door, and what to look at when they refuse (contract ams-v2, sections 1.1, 1.2).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use url::Url;
use uuid::Uuid;

use super::resource;
use crate::http::Response;
use crate::settings::{CannotSign, ClientCertificate, Credential, Identity, Secret};

/// The kind of assertion that Entra ID takes (RFC 7523, section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is valid from now on, and how far its start lies in the past, against clock skew.
const ASSERTION_LIFE: Duration = Duration::minutes(5);

/// A form for a token door. Not `Debug`: all of it is secret.
pub struct Form {
    pub body: String,
    /// What must be struck out of an answer that quotes it.
    pub secret: Secret,
}

/// Where `identity` asks for its tokens.
pub fn token_url(identity: &Identity) -> &Url {
    match identity {
        Identity::Acs { token_url, .. } | Identity::Entra { token_url, .. } => token_url,
    }
}

/// The key of the settings that holds that address.
pub fn token_url_key(identity: &Identity) -> &'static str {
    match identity {
        Identity::Acs { .. } => "media.token_url",
        Identity::Entra { .. } => "media.authority_url",
    }
}

/// What `identity` asks its door with; every field is percent-encoded.
///
/// # Errors
/// When the machine cannot sign.
pub fn form(identity: &Identity, now: OffsetDateTime) -> Result<Form, CannotSign> {
    let grant = ("grant_type", "client_credentials");
    Ok(match identity {
        Identity::Acs { account, key, scope, .. } => Form {
            body: resource::form(&[grant, ("client_id", account), ("client_secret", key.expose()), ("scope", scope)]),
            secret: key.clone(),
        },
        Identity::Entra { token_url, client_id, credential, resource } => {
            let client = [grant, ("client_id", client_id), ("resource", resource)];
            match credential {
                Credential::Secret(secret) => Form {
                    body: resource::form(&[&client[..], &[("client_secret", secret.expose())]].concat()),
                    secret: secret.clone(),
                },
                Credential::Certificate(certificate) => {
                    let assertion = Secret::new(&assertion(certificate, token_url, client_id, now)?);
                    let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.expose())];
                    Form { body: resource::form(&[&client[..], &proof].concat()), secret: assertion }
                }
            }
        }
    })
}

/// A JWT that the application signs about itself (RFC 7523, section 3; contract ams-v2, section 1.2).
fn assertion(
    certificate: &ClientCertificate,
    audience: &Url,
    client_id: &str,
    now: OffsetDateTime,
) -> Result<String, CannotSign> {
    let header = json!({"alg": "RS256", "typ": "JWT", "x5t": BASE64_URL_SAFE_NO_PAD.encode(certificate.thumbprint())});
    let claims = json!({
        "aud": audience.as_str(),
        "iss": client_id,
        "sub": client_id,
        "jti": Uuid::new_v4().to_string(),
        "nbf": (now - ASSERTION_LIFE).unix_timestamp(),
        "exp": (now + ASSERTION_LIFE).unix_timestamp(),
    });
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = certificate.sign_rs256(text.as_bytes())?;
    Ok(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

/// What an operator should look at when the door refuses `identity` for good; `None` where the answer says nothing about it.
pub fn hint(identity: &Identity, response: &Response) -> Option<String> {
    let error = serde_json::from_slice::<Value>(&response.body).ok();
    let error = error.as_ref().and_then(|json| json.get("error")?.as_str()).unwrap_or_default();
    match (response.status, identity) {
        (300..=399 | 404 | 405, _) => Some(format!("check {}, now {}", token_url_key(identity), token_url(identity))),
        (400 | 401 | 403, Identity::Acs { .. }) => Some(match error {
            "invalid_scope" => "check media.scope".to_owned(),
            _ => "check media.account and media.key".to_owned(),
        }),
        (400 | 401 | 403, Identity::Entra { credential, .. }) => {
            let proof = match credential {
                Credential::Secret(_) => "media.client_secret (its value, not its id)",
                Credential::Certificate(_) => "media.certificate_file (it must be registered with the application)",
            };
            Some(match error {
                "invalid_client" => format!("check media.client_id and {proof}"),
                "unauthorized_client" => {
                    "check media.client_id, and that it is an application of media.tenant".to_owned()
                }
                "invalid_resource" => "check media.resource, and cloud of this site".to_owned(),
                _ => format!("check media.tenant, media.client_id and {proof}"),
            })
        }
        _ => None,
    }
}

/// What to look at when the service itself takes no token of `identity` (contract ams-v2, section 1.2).
pub fn unauthorized_hint(identity: &Identity) -> Option<String> {
    match identity {
        Identity::Acs { .. } => None,
        Identity::Entra { client_id, .. } => Some(format!(
            "make service principal {client_id} a Contributor or Owner of the media account, and check media.account and media.resource"
        )),
    }
}
