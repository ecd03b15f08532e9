//! SAS locators: one for each purpose, found again, shared, made anew before they end, and deleted whoever made them.

use stream_replicator::failure::FailureKind;
use stream_replicator::media_service::ams_v2::{AmsV2, SasPurpose};
use testbed::emulator::{AccountHandle, Entity, FaultAction, FaultRule, Lag, Locator, PreparedFile, Set};
use time::{Duration, OffsetDateTime};

use super::world::{DAY, EAST, World};

const SAS: i64 = 1;

async fn east(world: &World) -> anyhow::Result<(AmsV2, AccountHandle, String)> {
    let account = world.account(EAST);
    let asset = account.create_asset("n", 0).await?;
    Ok((world.client(EAST)?, account, asset))
}

/// Name and permissions of the SAS locators, sorted.
fn signatures(account: &AccountHandle, asset: &str) -> Vec<(String, i64)> {
    let policies = account.access_policies();
    let permissions = |locator: &Locator| {
        policies.iter().find(|policy| policy.id == locator.access_policy_id).map_or(0, |policy| policy.permissions)
    };
    let locators = account.locators(asset).into_iter().filter(|locator| locator.kind == SAS);
    let mut found: Vec<_> =
        locators.map(|locator| (locator.name.clone().unwrap_or_default(), permissions(&locator))).collect();
    found.sort();
    found
}

fn change(account: &AccountHandle, locator: &str, change: impl FnOnce(&mut Entity)) {
    assert!(account.set(Set::Locators, locator, change).is_ok(), "no locator {locator}");
}

#[tokio::test]
async fn one_for_each_purpose_is_made_found_again_and_deleted() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    let before = OffsetDateTime::now_utc();
    let read = client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
    let write = client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap();
    let both = [("stream-replicator/1 read".to_owned(), 1 | 8), ("stream-replicator/1 write".to_owned(), 1 | 2 | 8)];
    assert_eq!(signatures(&account, &asset), both);
    assert!(read.query.expose().contains("sig=") && read.query.expose() != write.query.expose());
    assert!(read.address.ends_with(&asset.replace("nb:cid:UUID:", "asset-")), "{}", read.address);
    assert!((read.made_at - before).abs() < Duration::minutes(1), "{read:?}");
    assert!(!format!("{read:?}").contains("sig="), "{read:?}");
    let (start, expires) = {
        let found = account.locators(&asset).remove(0);
        (found.start.unwrap(), found.expires.unwrap())
    };
    assert!(start <= before - Duration::minutes(4) && expires - start == Duration::hours(24), "{start} {expires}");

    world.emulator.clear_requests();
    // Another worker, which knows nothing of them.
    let other = world.client(EAST).unwrap();
    for (purpose, made) in [(SasPurpose::Read, &read), (SasPurpose::Write, &write)] {
        let found = other.ensure_sas_locator(&asset, purpose).await.unwrap();
        assert_eq!((found.id, found.query.expose()), (made.id, made.query.expose()));
    }
    assert_eq!(world.requests_on("POST", "Locators", EAST), 0);

    for _ in 0..2 {
        other.delete_sas_locators(&asset, SasPurpose::Read).await.unwrap();
        assert_eq!(signatures(&account, &asset), both[1..]);
    }
    other.delete_sas_locators(&asset, SasPurpose::Write).await.unwrap();
    assert!(account.locators(&asset).is_empty());
    other.delete_sas_locators("nb:cid:UUID:00000000-0000-0000-0000-000000000000", SasPurpose::Read).await.unwrap();

    let again = client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
    assert_eq!(again.id, read.id, "the id is free again");
    assert_eq!(account.access_policies().len(), 2, "policies are shared");
}

#[tokio::test]
async fn one_to_write_is_made_without_read_where_the_service_insists_on_files() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    account.switch(|switches| switches.locator_needs_files = true).unwrap();
    let write = client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap();
    assert_eq!(signatures(&account, &asset), [("stream-replicator/1 write".to_owned(), 2 | 8)]);
    assert_eq!(client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap().id, write.id);
    let failure = client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "bad-request"));

    client.delete_sas_locators(&asset, SasPurpose::Write).await.unwrap();
    account.upload(&asset, &[PreparedFile::new("a.ism", "x")]).await.unwrap();
    client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap();
    assert_eq!(signatures(&account, &asset), [("stream-replicator/1 write".to_owned(), 1 | 2 | 8)]);
    // What is refused for another reason is not asked for in another way.
    client.delete_sas_locators(&asset, SasPurpose::Write).await.unwrap();
    world.emulator.clear_requests();
    world.emulator.fault(FaultRule::status(400).on("POST", "Locators").times(9));
    client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap_err();
    assert_eq!(world.requests_on("POST", "Locators", EAST), 1);
}

/// Nobody has seen whether the service takes an id for this type of locator.
#[tokio::test]
async fn one_of_our_name_under_another_id_is_ours() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    let other = account.publish(&asset, None, None, DAY).unwrap();
    change(&account, &other.id, |row| {
        row.set("Type", 1).set("Name", "stream-replicator/1 write").set("ContentAccessComponent", "?sig=x");
    });
    let found = client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap();
    assert_eq!((found.id.to_ams_v2(), found.query.expose()), (other.id, "?sig=x"));
    assert!(client.find_sas_locator(&asset, SasPurpose::Read).await.unwrap().is_none());
    client.delete_sas_locators(&asset, SasPurpose::Read).await.unwrap();
    assert_eq!(account.locators(&asset).len(), 1);
    client.delete_sas_locators(&asset, SasPurpose::Write).await.unwrap();
    assert!(account.locators(&asset).is_empty());
}

#[tokio::test]
async fn workers_that_make_it_at_once_share_one() {
    let world = World::start().await.unwrap();
    let (_, account, asset) = east(&world).await.unwrap();
    let clients: Vec<_> = (0..8).map(|_| world.client(EAST).unwrap()).collect();
    let making = clients.iter().map(|client| client.ensure_sas_locator(&asset, SasPurpose::Write));
    let made = futures::future::try_join_all(making).await.unwrap();
    assert!(made.iter().all(|locator| locator.id == made[0].id));
    assert_eq!(signatures(&account, &asset).len(), 1);
}

#[tokio::test]
async fn lost_answers_and_late_reads_leave_none_behind() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    for rule in [
        FaultRule::status(500).on("POST", "Locators"),
        FaultRule::new(FaultAction::Drop).on("POST", "Locators"),
        FaultRule::status(504).on("POST", "AccessPolicies"),
        FaultRule::new(FaultAction::Drop).on("DELETE", "Locators"),
    ] {
        world.emulator.fault(rule.clone().after_commit());
        client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
        assert_eq!(signatures(&account, &asset).len(), 1, "{rule:?}");
        client.delete_sas_locators(&asset, SasPurpose::Read).await.unwrap();
        assert_eq!(signatures(&account, &asset).len(), 0, "{rule:?}");
        world.emulator.clear_faults();
    }
    account.switch(|switches| switches.locator_read_lag = Lag::requests(1000)).unwrap();
    client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
    client.delete_sas_locators(&asset, SasPurpose::Read).await.unwrap();
    assert!(account.locators(&asset).is_empty(), "one that is not listed yet");
}

#[tokio::test]
async fn one_that_ends_soon_is_made_anew_and_expired_ones_of_ours_make_room() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    let now = OffsetDateTime::now_utc();
    let read = client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
    let write = client.ensure_sas_locator(&asset, SasPurpose::Write).await.unwrap();
    for hours in [11, -1] {
        change(&account, &read.id.to_ams_v2(), |row| {
            row.set("ExpirationDateTime", now + Duration::hours(hours));
        });
        client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
        assert_eq!(signatures(&account, &asset).len(), 2, "the other one is left alone");
        let shortest = account.locators(&asset).into_iter().filter_map(|locator| locator.expires).min().unwrap();
        assert!(shortest > now + Duration::hours(23), "{hours}: {shortest}");
    }
    change(&account, &write.id.to_ams_v2(), |row| {
        row.set("ExpirationDateTime", now - Duration::hours(1));
    });
    client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap();
    assert_eq!(signatures(&account, &asset).len(), 1, "an expired one of ours goes, whatever it was for");
}

#[tokio::test]
async fn five_locators_are_told_one_by_one() {
    let world = World::start().await.unwrap();
    let (client, account, asset) = east(&world).await.unwrap();
    for _ in 0..5 {
        account.publish(&asset, None, None, DAY).unwrap();
    }
    let all = account.locators(&asset);
    change(&account, &all[0].id, |row| {
        row.set("Name", "somebody's\nown").set("Type", 1);
    });
    let failure = client.ensure_sas_locator(&asset, SasPurpose::Read).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "too-many-locators"));
    let hint = failure.hint.unwrap();
    assert!(hint.contains(&format!("SAS {} 'somebody's?own' until 20", all[0].id)), "{hint}");
    assert!(all.iter().all(|locator| hint.contains(&locator.id)) && !hint.contains("sig="), "{hint}");
    assert_eq!(account.locators(&asset).len(), 5);
}
