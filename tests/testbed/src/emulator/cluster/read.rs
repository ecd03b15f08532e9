//! GET: sets, entities, properties, navigation, counts.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::Context;
use super::route::Resource;
use crate::emulator::doors::reply;
use crate::emulator::odata::metadata;
use crate::emulator::odata::query::Query;
use crate::emulator::odata::schema::{Schema, Set};
use crate::emulator::state::{AmsError, Entity};

type Answer = Result<Response<Body>, AmsError>;

pub(super) fn get(context: &Context, resource: Resource) -> Answer {
    match resource {
        Resource::Root => Ok(service_document(context)),
        Resource::Metadata => {
            Ok(reply::with_body(200, Some("application/xml;charset=utf-8"), Body::from(metadata::document())))
        }
        Resource::Set(set) => {
            let query = Query::parse(&context.pairs, set.schema())?;
            let entities = context.with_account(|account| Ok(account.observe_all(set)))?;
            page(context, set.schema(), &query, entities)
        }
        Resource::Empty(name) => {
            let light = json!({"odata.metadata": format!("{}$metadata#{name}", context.renderer.root), "value": []});
            Ok(context.renderer.value(&json!({"results": []}), &light))
        }
        Resource::Count(set) => {
            let query = Query::parse(&context.pairs, set.schema())?;
            let entities = context.with_account(|account| Ok(account.all(set).to_vec()))?;
            Ok(count(query.count(entities)?))
        }
        Resource::Entity(set, key) => {
            let query = Query::parse(&context.pairs, set.schema())?;
            let entity = context.with_account(|account| account.observe(set, &key))?;
            Ok(context.renderer.entity(&entity, query.select()))
        }
        Resource::Property(set, key, property) => {
            let entity = context.with_account(|account| account.observe(set, &key))?;
            Ok(context.renderer.property(&entity, property))
        }
        Resource::Navigation(set, key, navigation) => {
            let schema = navigation.target.schema();
            let query = Query::parse(&context.pairs, schema)?;
            let entities = context.with_account(|account| account.observe_related(set, &key, navigation))?;
            if navigation.many {
                return page(context, schema, &query, entities);
            }
            let entity = entities.first().ok_or_else(|| AmsError::not_found(navigation.name))?;
            Ok(context.renderer.entity(entity, query.select()))
        }
        Resource::NavigationCount(set, key, navigation) => {
            let query = Query::parse(&context.pairs, navigation.target.schema())?;
            let entities = context.with_account(|account| account.observe_related(set, &key, navigation))?;
            Ok(count(query.count(entities)?))
        }
        Resource::Links { set, key, navigation, .. } => {
            let entities = context.with_account(|account| account.observe_related(set, &key, navigation))?;
            let urls: Vec<Value> =
                entities.iter().map(|entity| json!({"uri": context.renderer.url_of(entity)})).collect();
            let light: Vec<Value> =
                entities.iter().map(|entity| json!({"url": context.renderer.url_of(entity)})).collect();
            Ok(context.renderer.value(&json!({"results": urls}), &json!({"value": light})))
        }
        Resource::Batch => Err(AmsError::new(405, "a batch must be posted")),
        Resource::Action { name, .. } | Resource::Function(name) => {
            Err(AmsError::new(405, format!("'{name}' cannot be read")))
        }
    }
}

fn page(context: &Context, schema: &'static Schema, query: &Query, entities: Vec<Entity>) -> Answer {
    let (next_links, page_size) =
        context.with_account(|account| Ok((account.switches.next_link, account.switches.page_size)))?;
    let page = query.apply(entities, page_size)?;
    let next = page.next_skip.filter(|_| next_links).map(|skip| next_url(context, skip));
    Ok(context.renderer.set(schema, &page, query.select(), next.as_deref()))
}

/// The URL of this request with another `$skip`.
fn next_url(context: &Context, skip: usize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(context.pairs.iter().filter(|(name, _)| name != "$skip"));
    query.append_pair("$skip", &skip.to_string());
    let origin = context.renderer.root.trim_end_matches("/api/");
    format!("{origin}{}?{}", context.call.uri.path(), query.finish())
}

fn count(count: usize) -> Response<Body> {
    reply::with_body(200, Some("text/plain;charset=utf-8"), Body::from(count.to_string()))
}

fn service_document(context: &Context) -> Response<Body> {
    let names: Vec<&str> = Set::ALL.iter().map(|set| set.schema().name).collect();
    let sets: Vec<Value> = names.iter().map(|name| json!({"name": name, "url": name})).collect();
    let light = json!({"odata.metadata": format!("{}$metadata", context.renderer.root), "value": sets});
    context.renderer.value(&json!({"EntitySets": names}), &light)
}
