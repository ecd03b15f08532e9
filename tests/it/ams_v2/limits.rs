//! Limits of the service and of names: pages of a thousand, policies that only look like ours, quotas, deletion in order.

use futures::{StreamExt, TryStreamExt, stream};
use stream_replicator::failure::FailureKind;
use stream_replicator::media_service::ams_v2::AmsV2;
use stream_replicator::model::LocatorId;
use testbed::emulator::{AccountConfig, AccountHandle, DoorKind, Emulator, EmulatorConfig, FaultRule, Set};
use testbed::storage::PutOptions;
use time::OffsetDateTime;
use uuid::Uuid;

use super::world::{DAY, EAST, WEST, World, mark};

/// One more than a page holds.
const MORE_THAN_A_PAGE: usize = 1001;

async fn locate(client: &AmsV2, asset: &str) -> anyhow::Result<()> {
    let expires = OffsetDateTime::now_utc() + DAY;
    client.ensure_locator(LocatorId(Uuid::new_v4()), asset, None, expires, None).await?;
    Ok(())
}

fn set_policy(account: &AccountHandle, id: &str, member: &'static str, value: i32) -> anyhow::Result<()> {
    account.set(Set::AccessPolicies, id, |policy| {
        policy.set(member, value);
    })
}

#[tokio::test]
async fn files_of_an_asset_are_read_beyond_a_page() {
    let world = World::start().await.unwrap();
    let (client, east) = (world.client(EAST).unwrap(), world.account(EAST));
    let asset = client.ensure_replica_asset("n", &mark("m"), &mark("m").alternate_id(None)).await.unwrap();
    let storage = east.storage().unwrap();
    let (storage, container) = (&storage, &asset.container);
    let put = |at: usize| async move {
        storage.put(container, &format!("segment_{at:04}.mp4"), "x", PutOptions::default()).await
    };
    let puts: Vec<_> = (0..MORE_THAN_A_PAGE).map(put).collect();
    stream::iter(puts).buffer_unordered(16).try_collect::<()>().await.unwrap();
    client.register_files(&asset.id).await.unwrap();
    for next_link in [false, true] {
        east.switch(|switches| switches.next_link = next_link).unwrap();
        let mut names: Vec<_> = client.list_files(&asset.id).await.unwrap().into_iter().map(|file| file.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MORE_THAN_A_PAGE, "next link: {next_link}");
    }
}

#[tokio::test]
async fn a_replica_is_found_by_its_mark_beyond_a_page_of_marks_that_begin_alike() {
    let world = World::start().await.unwrap();
    let (client, east) = (world.client(EAST).unwrap(), world.account(EAST));
    let creations: Vec<_> = (0..MORE_THAN_A_PAGE).map(|_| east.create_asset("n", 0)).collect();
    let mut ids: Vec<_> = stream::iter(creations).buffer_unordered(16).try_collect().await.unwrap();
    ids.sort_unstable();
    let wanted = mark("nb:cid:UUID:1");
    let set_mark = |id: &str, text: String| {
        east.set_asset(id, |asset| {
            asset.set("AlternateId", text);
        })
    };
    for (at, id) in ids.iter().enumerate() {
        set_mark(id, mark(&format!("nb:cid:UUID:1{at}")).alternate_id(None)).unwrap();
    }
    let last = ids.last().unwrap();
    set_mark(last, wanted.alternate_id(None)).unwrap();
    let found = client.ensure_replica_asset("n", &wanted, &wanted.alternate_id(None)).await.unwrap();
    assert_eq!(&found.id, last);
    assert_eq!(east.assets().len(), MORE_THAN_A_PAGE, "made once more");
}

#[tokio::test]
async fn a_policy_is_reused_only_with_our_name_our_duration_and_nothing_but_reading() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    let asset = west.create_asset("n", 0).await.unwrap();
    locate(&client, &asset).await.unwrap();
    let first = west.access_policies().remove(0).id;
    locate(&client, &asset).await.unwrap();
    assert_eq!(west.access_policies().len(), 1, "reused");

    for (member, wrong, right) in [("Permissions", 3, 1), ("Permissions", 9, 1), ("DurationInMinutes", 1, 43_200)] {
        let before = west.access_policies().len();
        set_policy(&west, &first, member, wrong).unwrap();
        let other = west.create_asset("n", 0).await.unwrap();
        locate(&client, &other).await.unwrap();
        let policies = west.access_policies();
        assert_eq!(policies.len(), before + 1, "{member} {wrong} was taken for ours");
        let used = west.locators(&other).remove(0).access_policy_id;
        let used = policies.iter().find(|policy| policy.id == used).unwrap();
        assert_eq!(used.permissions, 1);
        // Out of the way, so that the next round finds the first one alone.
        west.set(Set::AccessPolicies, &used.id, |policy| {
            policy.set("Name", "other");
        })
        .unwrap();
        set_policy(&west, &first, member, right).unwrap();
    }
}

#[tokio::test]
async fn a_quota_that_is_reached_is_permanent_and_says_so() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    world.emulator.fault(FaultRule::status(403).on("POST", "Assets"));
    let failure = client.ensure_replica_asset("n", &mark("m"), "m").await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "forbidden"));
    assert!(failure.hint.unwrap().contains("quotas"));

    world.emulator.fault(FaultRule::status(403).on("POST", "AccessPolicies"));
    let asset = west.create_asset("n", 0).await.unwrap();
    let expires = OffsetDateTime::now_utc() + DAY;
    let made = client.ensure_locator(LocatorId(Uuid::new_v4()), &asset, None, expires, None).await;
    let failure = made.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "forbidden"));
    assert!(failure.hint.unwrap().contains("quotas"));
}

#[tokio::test]
async fn an_asset_is_deleted_after_its_locators_and_each_of_them_once() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    let asset = west.create_asset("n", 0).await.unwrap();
    for _ in 0..2 {
        west.publish(&asset, None, None, DAY).unwrap();
    }
    for rule in [
        FaultRule::new(testbed::emulator::FaultAction::RevokeToken).on("DELETE", "Locators"),
        FaultRule::status(500).on("DELETE", "Locators").after_commit(),
        FaultRule::status(503).on("DELETE", "Assets"),
    ] {
        world.emulator.fault(rule);
    }
    client.delete_asset(&asset).await.unwrap();
    assert_eq!(world.emulator.clear_faults(), 0);
    let requests = world.emulator.requests();
    let deletions = requests.at(DoorKind::Cluster).filter(|request| request.method == "DELETE");
    let order: Vec<_> = deletions.map(|one| (one.entity_set.as_deref().unwrap_or_default(), one.status)).collect();
    let [.., ("Locators", 204), ("Assets", 503), ("Assets", 204)] = order.as_slice() else { panic!("{order:?}") };
    assert!(west.assets().is_empty() && west.entities(Set::Locators).is_empty());
}

#[tokio::test]
async fn an_account_name_with_signs_of_a_form_gets_its_token() {
    const ODD: &str = "odd&name=1+é%41";
    let world = World::start().await.unwrap();
    let storage = world.account(WEST).storage().unwrap();
    let accounts = vec![AccountConfig::new(ODD, super::world::KEY, "west", storage)];
    let odd = Emulator::start(EmulatorConfig { accounts, ..EmulatorConfig::default() }).await.unwrap();
    let (token_url, api_url) = (
        odd.acs_url().parse::<url::Url>().unwrap().join("v2/OAuth2-13").unwrap(),
        odd.front_door_url().parse().unwrap(),
    );
    let client = world
        .client_with(WEST, |media| {
            media.account = ODD.to_owned();
            media.token_url = Some(token_url);
            media.api_url = Some(api_url);
        })
        .unwrap();
    let reached = client.verify_reachable().await.unwrap();
    assert!(reached.contains(ODD), "{reached}");
    assert_eq!(odd.requests().at(DoorKind::Cluster).next().unwrap().account.as_deref(), Some(ODD));
}
