//! The REST service of one data centre: who may come in, in which version, and where a request goes.

mod batch;
mod functions;
mod read;
mod route;
mod versions;
mod write;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response};

use super::doors::gate::Call;
use super::doors::reply;
use super::odata::format::Format;
use super::odata::query;
use super::odata::render::{self, Renderer};
use super::shared::Shared;
use super::state::AmsError;
use route::Resource;

/// One request that was let in.
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) call: Call,
    /// The account of the token.
    pub(crate) account: String,
    pub(crate) renderer: Renderer,
    pub(crate) pairs: Vec<(String, String)>,
}

/// What one address of the service knows of itself.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) data_centre: String,
    /// The service root as its clients spell it, with its trailing slash.
    pub(crate) root: String,
    /// The one account that an endpoint of the AAD era serves; a cluster serves all of its data centre.
    pub(crate) account: Option<String>,
}

/// Serves one request of a data centre's cluster, which never redirects.
pub(crate) async fn serve(shared: Arc<Shared>, call: Call, own: Own) -> Response<Body> {
    let echoed = ["x-ms-client-request-id", "client-request-id"]
        .map(|name| call.headers.get(name).cloned().map(|value| (name, value)));
    let format = Format::of_accept(&call.headers).unwrap_or(Format::Verbose);
    let mut response = match admit(shared, call, &own, format) {
        Ok(context) => answer(context).await.unwrap_or_else(|error| render::error(&error, format)),
        Err(response) => *response,
    };
    let headers = response.headers_mut();
    headers.insert("Cache-Control", HeaderValue::from_static("no-cache"));
    headers.insert("X-Content-Type-Options", HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("request-id", id.clone());
        headers.insert("x-ms-request-id", id);
    }
    for (name, value) in echoed.into_iter().flatten() {
        headers.insert(name, value);
    }
    response
}

/// The token, the account's data centre and the version, in this order.
fn admit(shared: Arc<Shared>, call: Call, own: &Own, format: Format) -> Result<Context, Box<Response<Body>>> {
    let Some(account) = call.request.account.clone() else {
        return Err(Box::new(reply::html(401, "Unauthorized")));
    };
    let refuse = |text: String| Box::new(render::error(&AmsError::new(403, text), format));
    let known = shared.state.lock().account(&account).ok().map(|known| {
        let is_here = known.data_centre == own.data_centre && own.account.as_ref().is_none_or(|only| *only == account);
        (is_here, known.switches.dates, known.switches.disabled)
    });
    let Some((true, dates, disabled)) = known else {
        return Err(refuse(format!(
            "the account '{account}' is not served at this address: follow the front door's redirect"
        )));
    };
    if disabled && call.request.method != "GET" {
        return Err(refuse(format!("the account '{account}' is disabled")));
    }
    let pairs = query::pairs(call.uri.query());
    versions::check(&call.headers, &pairs).map_err(|error| Box::new(render::error(&error, format)))?;
    let renderer = Renderer { root: own.root.clone(), format, dates };
    Ok(Context { shared, call, account, renderer, pairs })
}

async fn answer(context: Context) -> Result<Response<Body>, AmsError> {
    let path = context.call.uri.path();
    let resource = route::resolve(path)?;
    // a reply with a body needs a flavour; so that nothing is created and then not shown, ask before acting
    let needs_format = match context.call.request.method.as_str() {
        "GET" => !matches!(
            resource,
            Resource::Metadata | Resource::Count(_) | Resource::NavigationCount(..) | Resource::Function(_)
        ),
        "POST" => !matches!(resource, Resource::Links { .. } | Resource::Action { .. } | Resource::Batch),
        _ => false,
    };
    if needs_format {
        Format::of_accept(&context.call.headers)?;
    }
    match context.call.request.method.clone().as_str() {
        "GET" => match resource {
            Resource::Function(name) => functions::call(&context, &name).await,
            resource => read::get(&context, resource),
        },
        "POST" => match resource {
            Resource::Batch => batch::run(&context).await,
            resource => write::post(&context, resource).await,
        },
        "MERGE" | "PATCH" => write::update(&context, &resource, false).await,
        "PUT" => write::update(&context, &resource, true).await,
        "DELETE" => write::delete(&context, &resource).await,
        method => Err(AmsError::new(405, format!("the method {method} is not allowed"))),
    }
}

impl Context {
    /// Runs a rule of the state under its lock.
    pub(crate) fn with_account<T>(
        &self,
        act: impl FnOnce(&mut super::state::Account) -> Result<T, AmsError>,
    ) -> Result<T, AmsError> {
        let mut state = self.shared.state.lock();
        act(state.account(&self.account)?)
    }
}
