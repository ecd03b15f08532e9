//! The Entra door: Azure AD's v1 token endpoint, for service principals and users (contract ams-v2 section 1.2).

mod assertion;
mod error;
mod principal;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, header};
use percent_encoding::percent_decode_str;
use serde_json::json;
use time::OffsetDateTime;

use super::doors::gate::Call;
use super::doors::reply;
use super::doors::token::{Grant, Subject};
use super::shared::Shared;
use super::state::State;
use error::Refusal;
pub use principal::{EntraPrincipal, EntraUser, TEST_CERTIFICATE_PEM, TEST_KEY_PEM};

/// Public clients sign users in with these ids: those of the .NET SDK, global and US Government (contract ams-v2
/// section 1.2). The principal's own id serves too.
const NATIVE_CLIENTS: [&str; 2] = ["d476653d-842c-4f52-862d-397463ada5e7", "68dac91e-cab5-461b-ab4a-ec7dcff0bd67"];

/// How the client proved who it is, as `appidacr` says it.
const BY_SECRET: &str = "1";
const BY_CERTIFICATE: &str = "2";
const BY_USER: &str = "0";

type Form = HashMap<String, String>;

/// `POST /<tenant>/oauth2/token` with a form.
pub(crate) async fn serve(shared: Arc<Shared>, call: Call) -> Response<Body> {
    let decoded = percent_decode_str(call.uri.path()).decode_utf8_lossy();
    let pieces: Vec<&str> = decoded.split('/').filter(|piece| !piece.is_empty()).collect();
    let [tenant, oauth2, token] = pieces.as_slice() else { return reply::html(404, "Not Found") };
    if !oauth2.eq_ignore_ascii_case("oauth2") || !token.eq_ignore_ascii_case("token") {
        return reply::html(404, "Not Found");
    }
    if call.request.method != "POST" {
        let text = format!("The endpoint only accepts POST requests. Received a {} request.", call.request.method);
        return Refusal::request("invalid_request", 900_561, text).reply();
    }
    let form: Form = url::form_urlencoded::parse(&call.body).into_owned().collect();
    let granted = {
        let state = shared.state.lock();
        grant(&state, tenant, &form, &call)
    };
    match granted {
        Ok((grant, resource)) => issue(&shared, &grant, &form, &resource),
        Err(refusal) => refusal.reply(),
    }
}

/// Who the form's sender is, once proved, and what the token is for.
fn grant(state: &State, tenant: &str, form: &Form, call: &Call) -> Result<(Grant, String), Refusal> {
    let registered: Vec<(&EntraPrincipal, u64)> = state
        .accounts
        .values()
        .filter_map(|account| Some((account.entra.as_ref()?, account.switches.entra_token_lifetime_seconds)))
        .filter(|(principal, _)| principal.is_of(tenant))
        .collect();
    if registered.is_empty() {
        return Err(Refusal::request("invalid_request", 90_002, format!("Tenant '{tenant}' not found.")));
    }
    let client_id = required(form, "client_id")?;
    let (principal, lifetime_seconds, subject, proof) = match required(form, "grant_type")? {
        "client_credentials" => {
            let known = registered.into_iter().find(|(one, _)| one.client_id.eq_ignore_ascii_case(client_id));
            let unknown =
                || format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
            let (principal, lifetime) = known.ok_or_else(|| Refusal::client(700_016, unknown()))?;
            let proof = prove(principal, form, call)?;
            (principal, lifetime, Subject::Application(principal.client_id.clone()), proof)
        }
        "password" => {
            let (principal, lifetime, name) = sign_in(&registered, client_id, form)?;
            (principal, lifetime, Subject::User(name), BY_USER)
        }
        other => {
            let text = format!("The app requested an unsupported grant type '{other}'.");
            return Err(Refusal::request("unsupported_grant_type", 70_003, text));
        }
    };
    let resource = required(form, "resource")?;
    if resource.trim_end_matches('/') != principal.resource.trim_end_matches('/') {
        let text = format!("The resource principal named {resource} was not found in the tenant named {tenant}.");
        return Err(Refusal::request("invalid_resource", 500_011, text));
    }
    let tenant = principal.tenants.first().cloned().unwrap_or_default();
    Ok((Grant { tenant, client_id: client_id.to_owned(), subject, proof, lifetime_seconds }, resource.to_owned()))
}

/// By secret (blanks around it fall away, as at ACS) or by assertion.
fn prove(principal: &EntraPrincipal, form: &Form, call: &Call) -> Result<&'static str, Refusal> {
    if let Some(jwt) = form.get("client_assertion") {
        if form.get("client_assertion_type").map(String::as_str) != Some(assertion::TYPE) {
            let text = format!("The client_assertion_type must be '{}'.", assertion::TYPE);
            return Err(Refusal::request("invalid_request", 900_144, text));
        }
        let unregistered = || Refusal::client(700_027, "No certificate is registered for the application.");
        let certificate = principal.certificate_pem.as_deref().ok_or_else(unregistered)?;
        let audiences = audiences(principal, call);
        assertion::verify(jwt, &principal.client_id, &audiences, certificate, OffsetDateTime::now_utc())?;
        return Ok(BY_CERTIFICATE);
    }
    let missing = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
    let secret = form.get("client_secret").ok_or_else(|| Refusal::client(7_000_218, missing))?;
    if principal.client_secret.as_deref() == Some(secret.trim()) {
        return Ok(BY_SECRET);
    }
    Err(Refusal::client(7_000_215, "Invalid client secret provided."))
}

/// The token URL as it was called, in both schemes since a proxy may have ended TLS, and as it is known in public.
fn audiences(principal: &EntraPrincipal, call: &Call) -> Vec<String> {
    let path = call.uri.path();
    let host = call.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut urls = vec![format!("http://{host}{path}"), format!("https://{host}{path}")];
    urls.extend(principal.public_authority.iter().map(|base| format!("{}{path}", base.trim_end_matches('/'))));
    urls
}

/// A user's name and password, sent by a public client.
fn sign_in<'a>(
    registered: &[(&'a EntraPrincipal, u64)],
    client_id: &str,
    form: &Form,
) -> Result<(&'a EntraPrincipal, u64, String), Refusal> {
    let (name, password) = (required(form, "username")?, required(form, "password")?);
    let may_sign_in = |principal: &EntraPrincipal| {
        NATIVE_CLIENTS.contains(&client_id) || principal.client_id.eq_ignore_ascii_case(client_id)
    };
    let is_user = |principal: &EntraPrincipal| {
        let user = principal.user.as_ref();
        user.is_some_and(|user| user.name.eq_ignore_ascii_case(name) && user.password == password)
    };
    let client = registered.iter().filter(|(principal, _)| may_sign_in(principal));
    let found = client.clone().find(|(principal, _)| is_user(principal));
    match found {
        Some((principal, lifetime)) => Ok((principal, *lifetime, name.to_owned())),
        None if client.count() == 0 => {
            let text = format!("Application with identifier '{client_id}' was not found in the directory.");
            Err(Refusal::client(700_016, text))
        }
        None => Err(Refusal::request("invalid_grant", 50_126, "Invalid username or password.")),
    }
}

fn required<'a>(form: &'a Form, field: &str) -> Result<&'a str, Refusal> {
    let value = form.get(field).map(|value| value.trim()).filter(|value| !value.is_empty());
    value.ok_or_else(|| Refusal::missing(field))
}

/// Version 1 of the endpoint wrote every number as a string.
fn issue(shared: &Shared, grant: &Grant, form: &Form, resource: &str) -> Response<Body> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let token = shared.mint.jwt(grant, resource, now);
    shared.state.lock().issued_tokens.push(token.clone());
    let lifetime = grant.lifetime_seconds;
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": lifetime.to_string(),
        "ext_expires_in": lifetime.to_string(),
        "expires_on": grant.expires_on(now).to_string(),
        "not_before": now.to_string(),
        "resource": form.get("resource"),
        "access_token": token,
    });
    if matches!(grant.subject, Subject::User(_)) {
        body["scope"] = json!("user_impersonation");
    }
    reply::json(200, &body)
}
