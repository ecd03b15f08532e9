//! The functions of the service, called by GET (contract ams-v2 section 4.1).

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::Context;
use crate::emulator::doors::reply;
use crate::emulator::jobs;
use crate::emulator::odata::format::Format;
use crate::emulator::odata::query;
use crate::emulator::odata::schema::Set;
use crate::emulator::state::{AmsError, JobState, container_of};

pub(super) async fn call(context: &Context, name: &str) -> Result<Response<Body>, AmsError> {
    match name {
        "CreateFileInfos" => create_file_infos(context).await,
        "CancelJob" => {
            let id = required(context, "jobid")?;
            let before = context.with_account(|account| account.cancel_job(&id))?;
            let (shared, account) = (Arc::clone(&context.shared), context.account.clone());
            context.shared.tasks.spawn(async move {
                let announced = jobs::announce_job(&shared, &account, &id, before, JobState::Canceled);
                shared.stop.run_until_cancelled(announced).await
            });
            Ok(reply::empty(204))
        }
        _ => {
            Format::of_accept(&context.call.headers)?;
            // the thumbprint of a certificate that nobody here encrypts with
            let thumbprint = "0000000000000000000000000000000000000000";
            Ok(context.renderer.value(&json!({name: thumbprint}), &json!({"value": thumbprint})))
        }
    }
}

/// Reads the real container; one that is gone is 409 (contract ams-v2 section 5.2).
async fn create_file_infos(context: &Context) -> Result<Response<Body>, AmsError> {
    let id = required(context, "assetid")?;
    let (asset_id, storage) = context.with_account(|account| {
        let asset = account.find(Set::Assets, &id)?.key().to_owned();
        Ok((asset.clone(), account.storage_of(&asset)?))
    })?;
    let listed = storage.list(&container_of(&asset_id)).await.map_err(|error| AmsError::of_storage(&error))?;
    let blobs = listed.ok_or_else(|| AmsError::conflict("the container of the asset is missing"))?;
    let blobs: Vec<(String, u64)> = blobs.into_iter().map(|blob| (blob.name, blob.size)).collect();
    context.with_account(|account| account.create_file_infos(&asset_id, &blobs))?;
    Ok(reply::empty(204))
}

fn required(context: &Context, name: &str) -> Result<String, AmsError> {
    let value = query::argument(&context.pairs, name).filter(|value| !value.is_empty());
    value.ok_or_else(|| AmsError::bad_request(format!("the parameter '{name}' is required")))
}
