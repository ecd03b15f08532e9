//! The token door: ACS, which takes an account's name and key (contract ams-v2 section 1.1).

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::gate::Call;
use super::reply;
use crate::emulator::shared::Shared;

/// The only scope that ACS knows here.
pub(crate) const SCOPE: &str = "urn:WindowsAzureMediaServices";

/// `POST /v2/OAuth2-13` with a form.
pub(crate) async fn serve(shared: Arc<Shared>, call: Call) -> Response<Body> {
    if !call.uri.path().eq_ignore_ascii_case("/v2/OAuth2-13") {
        return reply::html(404, "Not Found");
    }
    if call.request.method != "POST" {
        return refuse(405, "invalid_request", "ACS50000: there was an error issuing a token: use POST");
    }
    let form: HashMap<String, String> = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return refuse(400, "invalid_request", "ACS50000: the grant_type must be client_credentials");
    }
    if field("scope") != SCOPE {
        return refuse(400, "invalid_scope", "ACS50001: the relying party with the given scope was not found");
    }
    let (name, secret) = (field("client_id"), field("client_secret").trim());
    let lifetime_seconds = {
        let state = shared.state.lock();
        let account = state.accounts.get(name).filter(|account| account.key == secret);
        account.map(|account| account.switches.token_lifetime_seconds)
    };
    let Some(lifetime_seconds) = lifetime_seconds else {
        return refuse(401, "invalid_client", "ACS50012: authentication failed");
    };
    let token = shared.mint.token(name, lifetime_seconds);
    shared.state.lock().issued_tokens.push(token.clone());
    // expires_in was a string, whatever OAuth says
    let body = json!({
        "token_type": "http://schemas.xmlsoap.org/ws/2009/11/swt-token-profile-1.0",
        "access_token": token,
        "expires_in": lifetime_seconds.to_string(),
        "scope": SCOPE,
    });
    reply::json(200, &body)
}

fn refuse(status: u16, error: &str, description: &str) -> Response<Body> {
    let text = format!(
        "{description}\r\nTrace ID: {}\r\nTimestamp: {}",
        uuid::Uuid::new_v4(),
        time::OffsetDateTime::now_utc()
    );
    reply::json(status, &json!({"error": error, "error_description": text}))
}
