//! Who is told that a message was given up: one event for each replica that nobody needs to wait for any longer.

use time::OffsetDateTime;
use tracing::Span;

use super::context::Context;
use super::history::{self, History, REPLAYS};
use super::job::incoming;
use super::letters::shortened;
use crate::events::{FailedSite, GivenUp, OutgoingEvent, Parsed, encode_replication_failed, fallback_id, parse};
use crate::failure::Failure;
use crate::model::SiteName;
use crate::rabbitmq::Message;
use crate::replication::{AllSites, named_route};
use crate::telemetry::traces;

/// The events about a dead letter of `class`. A message that was not split yet names every replica of its route, and none of
/// them will come; one of an encoding job whose outputs nobody could ask for is told by that job's id. What names no site of
/// the settings was never promised to anybody: no event.
pub fn events(
    context: &Context,
    original: &Message,
    history: &History,
    failure: &Failure,
    class: &'static str,
) -> Vec<(OutgoingEvent, Span)> {
    let incoming = incoming(original);
    let Ok(Parsed::Request(mut request)) = parse(&incoming) else { return Vec::new() };
    let sites = context.sites.last();
    let Some(route) = named_route(&request, &sites) else { return Vec::new() };
    let replays = history::integer(&original.headers, REPLAYS).and_then(|replays| u64::try_from(replays).ok());
    let letter_id = fallback_id(&incoming);
    let why = GivenUp {
        dead_letter_id: &letter_id,
        class,
        code: failure.code,
        step: failure.step,
        error: shortened(&failure.message),
        hint: failure.hint.as_deref().map(shortened),
        attempts: history.attempt,
        replays: replays.unwrap_or(0),
        first_seen: history.first_seen,
    };
    let Some(source) = site(&sites, &route.source) else { return Vec::new() };
    let replicas = route.replicas.iter().filter_map(|replica| site(&sites, replica));
    let now = OffsetDateTime::now_utc();
    let mut event = |replica| {
        let span = traces::publishing(context.topology.outgoing_exchange());
        if let Some(traceparent) = traces::traceparent(&span) {
            request.traceparent = Some(traceparent);
        }
        (encode_replication_failed(&request, source, replica, &why, now), span)
    };
    replicas.map(&mut event).collect()
}

fn site<'a>(sites: &'a AllSites, name: &SiteName) -> Option<FailedSite<'a>> {
    let site = sites.site(name).ok()?;
    Some(FailedSite { name: &site.name, kind: site.kind.name(), region: site.region.as_deref() })
}
