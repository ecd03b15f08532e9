//! Streaming locators: a chosen id, an exact validity, and every way in which an id can be taken.

use stream_replicator::failure::FailureKind;
use stream_replicator::media_service::ams_v2::AmsV2;
use stream_replicator::model::LocatorId;
use testbed::emulator::{AccountHandle, FaultAction, FaultRule, Lag};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::world::{DAY, EAST, NEIGHBOUR, WEST, World};

fn new_id() -> LocatorId {
    LocatorId(Uuid::new_v4())
}

fn is_near(a: OffsetDateTime, b: OffsetDateTime) -> bool {
    (a - b).abs() <= Duration::milliseconds(5)
}

async fn east(world: &World) -> anyhow::Result<(AmsV2, AccountHandle, String)> {
    let account = world.account(EAST);
    let asset = account.create_asset("n", 0).await?;
    Ok((world.client(EAST)?, account, asset))
}

#[tokio::test]
async fn a_locator_has_the_chosen_id_and_exactly_the_chosen_validity() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    let now = OffsetDateTime::now_utc();
    let id = new_id();
    // A start long ago: what a policy adds to it is not what is asked for.
    let (start, expires) = (now - 100 * DAY, now + 30 * DAY);
    let made = client.ensure_locator(id, &asset, Some(start), expires, Some("Zoë's")).await.unwrap();
    assert_eq!((made.id, &made.asset_id, made.name.as_deref()), (id, &asset, Some("Zoë's")));
    assert!(is_near(made.expires, expires) && is_near(made.start.unwrap(), start), "{made:?}");
    assert!(made.path.ends_with(&format!("/{}/", made.id)), "{made:?}");
    assert_eq!(client.find_locator(made.id).await.unwrap(), Some(made.clone()));
    assert_eq!(client.list_locators(&asset).await.unwrap(), std::slice::from_ref(&made));

    world.emulator.clear_requests();
    let again = client.ensure_locator(id, &asset, Some(start), expires, Some("Zoë's")).await.unwrap();
    assert_eq!(again, made);
    assert_eq!((world.requests_on("POST", "Locators", EAST), world.requests_on("MERGE", "Locators", EAST)), (0, 0));

    let (start, expires) = (now - DAY, now + 3 * DAY);
    let moved = client.ensure_locator(id, &asset, Some(start), expires, None).await.unwrap();
    assert!(is_near(moved.expires, expires) && is_near(moved.start.unwrap(), start), "{moved:?}");

    for days in [1, 20, 29] {
        client.ensure_locator(new_id(), &asset, None, now + days * DAY, None).await.unwrap();
    }
    // One for more than 90 days, one for the rest.
    let policies = account.access_policies();
    assert_eq!(policies.len(), 2, "{policies:?}");
    assert!(policies.iter().all(|policy| policy.permissions == 1));
    let failure = client.ensure_locator(new_id(), &asset, None, expires, None).await.map(drop);
    assert!(failure.is_ok(), "the fifth: {failure:?}");
    let failure = client.ensure_locator(new_id(), &asset, None, expires, None).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "too-many-locators"));
    assert!(failure.hint.is_some());
}

#[tokio::test]
async fn ids_that_are_taken_are_told_apart() {
    let world = World::start().await.unwrap();
    let (west, neighbour) = (world.account(WEST), world.account(NEIGHBOUR));
    let (first, second) = (west.create_asset("1", 0).await.unwrap(), west.create_asset("2", 0).await.unwrap());
    let foreign = neighbour.create_asset("3", 0).await.unwrap();
    let taken = west.publish(&first, None, None, DAY).unwrap();
    let id = LocatorId::parse(&taken.id).unwrap();
    let expires = OffsetDateTime::now_utc() + DAY;

    let failure = world.client(WEST).unwrap().ensure_locator(id, &second, None, expires, None).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "locator-taken"));
    assert!(failure.message.contains(&first) && failure.hint.is_some(), "{failure:?}");

    let client = world.client(NEIGHBOUR).unwrap();
    let failure = client.ensure_locator(id, &foreign, None, expires, None).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "locator-taken-by-other-account"));
    assert!(failure.hint.unwrap().contains("data centre"));

    // Another data centre knows nothing of it.
    let (client, _, asset) = east(&world).await.unwrap();
    assert_eq!(client.ensure_locator(id, &asset, None, expires, None).await.unwrap().id, id);
}

#[tokio::test]
async fn lost_answers_and_late_reads_make_no_second_locator() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    let expires = OffsetDateTime::now_utc() + DAY;
    let lost = [
        FaultRule::status(500).on("POST", "Locators"),
        FaultRule::new(FaultAction::Drop).on("POST", "Locators"),
        FaultRule::status(502).on("POST", "AccessPolicies"),
        FaultRule::status(500).on("MERGE", "Locators"),
    ];
    for (at, rule) in lost.into_iter().enumerate() {
        world.emulator.fault(rule.after_commit());
        client.ensure_locator(new_id(), &asset, None, expires, None).await.unwrap();
        assert_eq!((account.locators(&asset).len(), account.access_policies().len()), (at + 1, 1));
    }
    account.switch(|switches| switches.locator_read_lag = Lag::requests(2)).unwrap();
    let late = account.create_asset("late", 0).await.unwrap();
    let made = client.ensure_locator(new_id(), &late, None, expires, None).await.unwrap();
    assert!(is_near(made.expires, expires));

    account.switch(|switches| switches.locator_read_lag = Lag::requests(1000)).unwrap();
    let failure = client.ensure_locator(new_id(), &late, None, expires, None).await.unwrap_err();
    assert_eq!((failure.kind.name(), failure.code), ("needs-more-time", "locator-not-visible"));
    let gone = client.ensure_locator(new_id(), "nb:cid:UUID:00000000-0000-0000-0000-000000000000", None, expires, None);
    assert_eq!(gone.await.unwrap_err().code, "not-found");
}

#[tokio::test]
async fn shared_access_signatures_are_no_streaming_locators() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    let locator = account.publish(&asset, None, None, DAY).unwrap();
    account
        .set(testbed::emulator::Set::Locators, &locator.id, |row| {
            row.set("Type", 1);
        })
        .unwrap();
    assert_eq!(client.list_locators(&asset).await.unwrap(), []);
    let id = LocatorId::parse(&locator.id).unwrap();
    assert_eq!(client.find_locator(id).await.unwrap_err().code, "locator-not-streaming");
}
