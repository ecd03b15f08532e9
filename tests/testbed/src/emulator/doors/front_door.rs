//! The global front door: sends every request to the root of its account's cluster (contract ams-v2 section 1.3).

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};

use super::gate::Call;
use super::reply;
use crate::emulator::config::Redirect;
use crate::emulator::shared::Shared;

/// The path of the extra hop, below which a request has already been here once.
const HOP: &str = "/hop";

/// 301 with the root, never the full resource URL; stateless, decided by the token's account.
pub(crate) async fn serve(shared: Arc<Shared>, call: Call) -> Response<Body> {
    let Some(account) = &call.request.account else {
        return reply::html(401, "Unauthorized");
    };
    let (data_centre, redirect) = match shared.state.lock().account(account) {
        Ok(account) => (account.data_centre.clone(), account.switches.redirect),
        Err(error) => return reply::html(error.status, &error.message),
    };
    let hopped = call.uri.path().starts_with(HOP);
    let location = match redirect {
        Redirect::Loop => format!("{}/api/", shared.addresses.front_door),
        Redirect::ExtraHop if !hopped => format!("{}{HOP}/api/", shared.addresses.front_door),
        Redirect::ExtraHop | Redirect::Direct => shared.root_of(&data_centre),
    };
    let mut response = reply::html(301, "Object Moved");
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
