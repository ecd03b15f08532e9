//! The control door of the program: faults, switches and outages by HTTP, for demos and tests in other languages.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{delete, get, post, put};
use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::emulator::config::Switches;
use crate::emulator::faults::{Down, FaultRule};

type Refusal = (StatusCode, String);

/// The routes: `POST /faults`, `DELETE /faults`, `GET /requests`, `PUT /switches/{account}`,
/// `POST /roll-storage-key/{account}/{storage account}`, `PUT /down/{data centre}` with `"refused"` or `"unavailable"`,
/// `DELETE /down/{data centre}`, `GET /addresses`.
pub fn router(emulator: Arc<Emulator>) -> Router {
    Router::new()
        .route("/faults", post(add_fault))
        .route("/faults", delete(clear_faults))
        .route("/requests", get(requests))
        .route("/switches/{account}", put(set_switches))
        .route("/roll-storage-key/{account}/{storage_account}", post(roll_storage_key))
        .route("/down/{data_centre}", put(take_down))
        .route("/down/{data_centre}", delete(bring_up))
        .route("/addresses", get(addresses))
        .with_state(emulator)
}

async fn add_fault(State(emulator): State<Arc<Emulator>>, Json(rule): Json<FaultRule>) -> StatusCode {
    emulator.fault(rule);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(emulator): State<Arc<Emulator>>) -> Json<Value> {
    Json(json!({"cleared": emulator.clear_faults()}))
}

async fn requests(State(emulator): State<Arc<Emulator>>) -> Json<Value> {
    Json(json!(emulator.requests().iter().collect::<Vec<_>>()))
}

async fn set_switches(
    State(emulator): State<Arc<Emulator>>,
    Path(account): Path<String>,
    Json(switches): Json<Switches>,
) -> Result<StatusCode, Refusal> {
    let turned = emulator.account(&account).switch(|current| *current = switches);
    turned.map(|()| StatusCode::NO_CONTENT).map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))
}

async fn roll_storage_key(
    State(emulator): State<Arc<Emulator>>,
    Path((account, storage_account)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let rolled = emulator.account(&account).roll_storage_key(&storage_account).await;
    rolled.map(|()| StatusCode::NO_CONTENT).map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))
}

async fn take_down(
    State(emulator): State<Arc<Emulator>>,
    Path(data_centre): Path<String>,
    Json(down): Json<Down>,
) -> Result<StatusCode, Refusal> {
    check(&emulator, &data_centre)?;
    match down {
        Down::Refused => emulator.take_down(&data_centre),
        Down::Unavailable => emulator.make_unavailable(&data_centre),
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn bring_up(
    State(emulator): State<Arc<Emulator>>,
    Path(data_centre): Path<String>,
) -> Result<StatusCode, Refusal> {
    check(&emulator, &data_centre)?;
    let up = emulator.bring_up(&data_centre).await;
    up.map(|()| StatusCode::NO_CONTENT).map_err(|error| (StatusCode::CONFLICT, format!("{error:#}")))
}

async fn addresses(State(emulator): State<Arc<Emulator>>) -> Json<Value> {
    Json(emulator.addresses())
}

fn check(emulator: &Emulator, data_centre: &str) -> Result<(), Refusal> {
    if emulator.data_centres().iter().any(|known| known == data_centre) {
        return Ok(());
    }
    Err((StatusCode::NOT_FOUND, format!("there is no data centre '{data_centre}'")))
}
