//! POST, MERGE, PATCH, PUT, DELETE: the rules are in the state; the storage account is changed from here.

use axum::body::Body;
use axum::http::{HeaderValue, Response};

use serde_json::json;

use super::Context;
use super::route::Resource;
use crate::emulator::doors::reply;
use crate::emulator::jobs;
use crate::emulator::odata::body::{self, Input};
use crate::emulator::odata::format::Format;
use crate::emulator::odata::query;
use crate::emulator::odata::schema::Set;
use crate::emulator::state::{AmsError, Entity, container_of, uuid_of};

type Answer = Result<Response<Body>, AmsError>;

pub(super) async fn post(context: &Context, resource: Resource) -> Answer {
    match resource {
        Resource::Set(set) => {
            let format = Format::of_content(&context.call.headers)?;
            let input = body::parse(&context.call.body, format, set)?;
            let entity = create(context, set, &input).await?;
            Ok(context.renderer.created(&entity))
        }
        Resource::Links { set, key, navigation, target: None } => {
            let url = body::parse_link(&context.call.body)?;
            context.with_account(|account| account.link(set, &key, navigation.name, &url))?;
            Ok(reply::empty(204))
        }
        Resource::Action { set: Set::ContentKeys, key, .. } => {
            let id = context.with_account(|account| Ok(account.find(Set::ContentKeys, &key)?.key().to_owned()))?;
            // nobody delivers keys here
            let url = format!("https://{}.keydelivery.invalid/?kid={}", context.account, uuid_of(&id));
            Ok(context.renderer.value(&json!({"GetKeyDeliveryUrl": url}), &json!({"value": url})))
        }
        Resource::Action { key, name, .. } => {
            let units = body::parse_argument(&context.call.body, "scaleUnits");
            let units = units.and_then(|units| units.parse().ok());
            let operation = context.with_account(|account| account.act_on_endpoint(&key, &name, units))?;
            let mut response = reply::empty(202);
            if let Ok(id) = HeaderValue::from_str(operation.key()) {
                response.headers_mut().insert("operation-id", id);
            }
            Ok(response)
        }
        _ => Err(not_allowed("POST")),
    }
}

async fn create(context: &Context, set: Set, input: &Input) -> Result<Entity, AmsError> {
    match set {
        Set::Assets => create_asset(context, input).await,
        Set::Jobs => jobs::create(&context.shared, &context.account, input).await,
        _ => {
            let entity = context.shared.state.lock().create(&context.account, set, input)?;
            if let Some(asset_id) = asset_of_sas(&entity) {
                open_container(context, &entity, asset_id).await?;
            }
            if set == Set::NotificationEndPoints {
                let (account_id, target) =
                    context.with_account(|account| Ok((account.id.clone(), account.target_of(entity.key()))))?;
                let name = entity.text("Name").unwrap_or_default();
                target.into_iter().for_each(|target| {
                    jobs::announce_end_point(&context.shared, account_id.clone(), target, name);
                });
            }
            Ok(entity)
        }
    }
}

/// Gives a new SAS locator its stored access policy, or takes the locator back. With a lag the policy comes later.
async fn open_container(context: &Context, locator: &Entity, asset_id: &str) -> Result<(), AmsError> {
    if let Err(error) = context.shared.sync_stored_policies(&context.account, asset_id).await {
        context.with_account(|account| account.remove(Set::Locators, locator.key()))?;
        return Err(error);
    }
    let lag_milliseconds = context.with_account(|account| Ok(account.switches.sas_lag_milliseconds))?;
    if lag_milliseconds > 0 {
        context.shared.sync_stored_policies_later(&context.account, asset_id, lag_milliseconds);
    }
    Ok(())
}

/// The container exists when the reply is sent (contract ams-v2 section 4, row 6).
async fn create_asset(context: &Context, input: &Input) -> Result<Entity, AmsError> {
    let (asset, storage) = context.with_account(|account| {
        let asset = account.new_asset(input)?;
        let storage = account.storage_behind(&asset);
        Ok((asset, storage))
    })?;
    let created = storage.create_container(&container_of(asset.key())).await;
    created.map_err(|error| AmsError::of_storage(&error))?;
    context.with_account(|account| {
        account.insert(asset.clone());
        Ok(())
    })?;
    Ok(asset)
}

pub(super) async fn update(context: &Context, resource: &Resource, replace: bool) -> Answer {
    let Resource::Entity(set, key) = resource else { return Err(not_allowed("MERGE")) };
    let format = Format::of_content(&context.call.headers)?;
    let input = body::parse(&context.call.body, format, *set)?;
    context.with_account(|account| account.update(*set, key, &input, replace))?;
    Ok(reply::empty(204))
}

pub(super) async fn delete(context: &Context, resource: &Resource) -> Answer {
    match resource {
        Resource::Entity(Set::Assets, key) => delete_asset(context, key).await,
        Resource::Entity(set, key) => {
            let removed = context.with_account(|account| account.delete(*set, key))?;
            if let Some(asset_id) = asset_of_sas(&removed) {
                context.shared.sync_stored_policies(&context.account, asset_id).await?;
            }
            Ok(reply::empty(204))
        }
        Resource::Links { set, key, navigation, target: Some(target) } => {
            context.with_account(|account| account.unlink(*set, key, navigation.name, target))?;
            Ok(reply::empty(204))
        }
        _ => Err(not_allowed("DELETE")),
    }
}

/// Removes the container too, unless `keepcontainer=true` (contract ams-v2 section 4.4).
async fn delete_asset(context: &Context, key: &str) -> Answer {
    let (asset, storage) = context.with_account(|account| {
        let asset = account.remove_asset(key)?;
        let storage = account.storage_behind(&asset);
        Ok((asset, storage))
    })?;
    let keep = query::argument(&context.pairs, "keepcontainer").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let container = container_of(asset.key());
    if !keep {
        storage.delete_container(&container).await.map_err(|error| AmsError::of_storage(&error))?;
    } else if let Err(error) = storage.set_stored_policies(&container, &[]).await {
        tracing::debug!(%error, "the container of a deleted asset is gone already");
    }
    Ok(reply::empty(204))
}

/// The asset whose container holds a stored policy for this locator.
fn asset_of_sas(entity: &Entity) -> Option<&str> {
    let is_sas = entity.set_of() == Set::Locators && entity.number("Type") == Some(1);
    is_sas.then(|| entity.text("AssetId")).flatten()
}

fn not_allowed(method: &str) -> AmsError {
    AmsError::new(405, format!("the method {method} is not allowed on this resource"))
}
