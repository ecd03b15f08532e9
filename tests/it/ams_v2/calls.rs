//! Tokens, redirects, repetition and paging.

use futures::future::{join_all, try_join_all};
use stream_replicator::failure::FailureKind;
use stream_replicator::model::LocatorId;
use stream_replicator::settings::Secret;
use testbed::emulator::{DoorKind, FaultAction, FaultBody, FaultRule, PreparedFile, Redirect, Set};
use testbed::proxy::{FaultProxy, Rule};
use time::OffsetDateTime;
use uuid::Uuid;

use super::world::{DAY, KEY, WEST, World, mark};

#[tokio::test]
async fn one_token_serves_all_calls_and_a_refused_one_is_renewed_once() {
    let world = World::start().await.unwrap();
    let client = world.client(WEST).unwrap();
    let calls = (0..8).map(|_| client.find_asset("nb:cid:UUID:none"));
    assert!(try_join_all(calls).await.unwrap().iter().all(Option::is_none));
    assert_eq!(world.requests_at(DoorKind::Acs), 1);

    world.emulator.fault(FaultRule::new(FaultAction::RevokeToken).on("POST", "Assets"));
    let made = client.ensure_replica_asset("n", &mark("a"), &mark("a").alternate_id(None)).await.unwrap();
    assert_eq!(world.account(WEST).assets().len(), 1);
    assert_eq!(world.account(WEST).assets()[0].id, made.id);
    assert_eq!(world.requests_at(DoorKind::Acs), 2);
}

#[tokio::test]
async fn a_wrong_key_is_permanent_and_is_never_shown() {
    let world = World::start().await.unwrap();
    let client = world.client_with(WEST, |media| media.key = Some(Secret::new("wrong-key"))).unwrap();
    let failure = client.verify_reachable().await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "token-refused"));
    assert_eq!(failure.hint.as_deref(), Some("check media.account and media.key"));
    assert_eq!(failure.site.as_ref().map(|site| site.as_str()), Some(WEST));
    let shown = format!("{failure:?} {failure} {client:?}");
    assert!(!shown.contains("wrong-key") && !shown.contains(KEY), "{shown}");
}

#[tokio::test]
async fn a_busy_token_door_is_asked_again() {
    let world = World::start().await.unwrap();
    world.emulator.fault(FaultRule::status(503).at(DoorKind::Acs).times(2));
    world.client(WEST).unwrap().verify_reachable().await.unwrap();
    assert_eq!(world.requests_at(DoorKind::Acs), 3);
}

#[tokio::test]
async fn one_failure_of_the_token_door_answers_all_who_waited_for_it() {
    let world = World::start().await.unwrap();
    let client = world.client_that_tries(WEST, 1).unwrap();
    world.emulator.fault(FaultRule::status(503).at(DoorKind::Acs).times(100));
    let calls = (0..8).map(|_| client.find_asset("nb:cid:UUID:none"));
    let failures: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap_err).collect();
    let first = failures[0].to_string();
    for failure in &failures {
        assert_eq!((failure.code, failure.is_transient()), ("media-service-busy", true), "{failure}");
        assert_eq!((failure.site.as_ref().map(|site| site.as_str()), failure.to_string()), (Some(WEST), first.clone()));
    }
    assert_eq!(world.requests_at(DoorKind::Acs), 1);

    client.verify_reachable().await.unwrap_err();
    assert_eq!(world.requests_at(DoorKind::Acs), 2, "who comes later asks again");
    world.emulator.clear_faults();
    client.verify_reachable().await.unwrap();
}

#[tokio::test]
async fn every_verb_survives_the_front_door_which_is_asked_once() {
    let world = World::start().await.unwrap();
    let west = world.account(WEST);
    let asset = world.client(WEST).unwrap().ensure_replica_asset("n", &mark("a"), "x").await.unwrap();
    assert_eq!(world.requests_at(DoorKind::FrontDoor), 1);

    let expires = OffsetDateTime::now_utc() + 40 * DAY;
    let locator = west.publish(&asset.id, None, None, DAY).unwrap();
    let file = world.client(WEST).unwrap();
    west.upload(&asset.id, &[PreparedFile::new("a.ism", "x")]).await.unwrap();
    file.describe_file(&west.files(&asset.id)[0].id, None, Some("text/plain")).await.unwrap();
    assert_eq!(west.files(&asset.id)[0].mime_type.as_deref(), Some("text/plain"));

    let id = LocatorId::parse(&locator.id).unwrap();
    world.client(WEST).unwrap().ensure_locator(id, &asset.id, None, expires, None).await.unwrap();
    west.switch(|switches| switches.redirect = Redirect::ExtraHop).unwrap();
    world.client(WEST).unwrap().delete_asset(&asset.id).await.unwrap();
    assert!(west.assets().is_empty());

    west.switch(|switches| switches.redirect = Redirect::Loop).unwrap();
    let failure = world.client(WEST).unwrap().verify_reachable().await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "redirect-loop"));
}

#[tokio::test]
async fn a_deletion_is_sent_again_where_it_is_redirected_to() {
    let world = World::start().await.unwrap();
    let west = world.account(WEST);
    let cluster: url::Url = world.emulator.cluster_url("west").parse().unwrap();
    let proxy = FaultProxy::start(cluster.socket_addrs(|| None).unwrap()[0]).await.unwrap();
    let api_url = proxy.url().join("api/").unwrap();
    let client = world.client_with(WEST, |media| media.api_url = Some(api_url.clone())).unwrap();
    let asset = west.create_asset("n", 0).await.unwrap();
    west.publish(&asset, None, None, DAY).unwrap();
    let redirected = Rule::answer(301, "Moved").answer_header("location", api_url.as_str());
    let redirected = ["/Locators", "/Assets"].map(|set| redirected.clone().path(set).method(reqwest::Method::DELETE));
    let faults = redirected.map(|rule| proxy.fault(rule.times(3)));
    client.delete_asset(&asset).await.unwrap();
    assert!(west.assets().is_empty() && west.entities(Set::Locators).is_empty());
    assert_eq!(faults.map(|fault| fault.hits()), [3, 3], "three hops are followed");
}

#[tokio::test]
async fn a_host_that_is_not_allowed_never_sees_the_token() {
    let world = World::start().await.unwrap();
    let client = world.client_with(WEST, |media| media.allowed_hosts.clear()).unwrap();
    let failure = client.verify_reachable().await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "redirect-refused"));
    let cluster = world.emulator.cluster_url("west");
    let host = cluster.trim_start_matches("http://").trim_end_matches("/api/").to_owned();
    assert!(failure.message.contains(&host), "{failure}");
    assert_eq!(world.requests_at(DoorKind::Cluster), 0);

    let client = world.client_with(WEST, |media| media.allowed_hosts = vec![host]).unwrap();
    let reached = client.verify_reachable().await.unwrap();
    assert_eq!(reached, format!("media account {WEST} through {cluster}"));
}

#[tokio::test]
async fn reads_are_repeated_and_what_stays_is_classified() {
    let world = World::start().await.unwrap();
    let client = world.client(WEST).unwrap();
    let html = |status| {
        let body = FaultBody::Html;
        FaultRule::new(FaultAction::Answer { status, body, retry_after_seconds: None }).on("GET", "Assets")
    };
    for rule in [html(503), html(502), html(404), FaultRule::new(FaultAction::Drop).on("GET", "Assets")] {
        world.emulator.fault(rule.clone());
        client.verify_reachable().await.unwrap_or_else(|failure| panic!("{rule:?}: {failure}"));
    }
    for (status, kind) in [(500, "transient"), (404, "transient"), (403, "permanent"), (400, "permanent")] {
        world.emulator.fault(html(status).times(9));
        world.emulator.clear_requests();
        let failure = client.find_asset("nb:cid:UUID:1").await.unwrap_err();
        assert_eq!(failure.kind.name(), kind, "{failure}");
        assert!(!failure.message.contains('<') && failure.message.contains(&status.to_string()), "{failure}");
        let tries = if kind == "transient" { 4 } else { 1 };
        assert_eq!(world.requests_at(DoorKind::Cluster), tries, "{status}");
        world.emulator.clear_faults();
    }
    let wait = FaultAction::Answer { status: 503, body: FaultBody::Empty, retry_after_seconds: Some(600) };
    world.emulator.fault(FaultRule::new(wait).on("GET", "Assets"));
    let failure = client.verify_reachable().await.unwrap_err();
    assert_eq!(failure.retry_after().map(|wait| wait.as_secs()), Some(600));
}

#[tokio::test]
async fn a_data_centre_that_is_down_is_transient_and_found_again() {
    let world = World::start().await.unwrap();
    let client = world.client(WEST).unwrap();
    client.verify_reachable().await.unwrap();
    world.emulator.take_down("west");
    let failure = client.ensure_replica_asset("n", &mark("a"), "x").await.unwrap_err();
    assert!(failure.is_transient(), "{failure:?}");
    assert!(!failure.message.contains("filter"), "{failure}");
    world.emulator.bring_up("west").await.unwrap();
    client.verify_reachable().await.unwrap();
}

#[tokio::test]
async fn sets_of_more_than_a_thousand_are_read_to_the_end() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    // Policies with our name that are not ours, so that the right one is found only by reading on.
    let assets = try_join_all((0..220).map(|_| west.create_asset("n", 0))).await.unwrap();
    for asset in assets.iter().flat_map(|asset| [asset; 5]) {
        west.publish(asset, None, None, DAY).unwrap();
    }
    let name = "stream-replicator read 43200";
    for policy in west.access_policies() {
        west.set(Set::AccessPolicies, &policy.id, |row| {
            row.set("Name", name);
        })
        .unwrap();
    }
    for next_link in [false, true] {
        west.switch(|switches| switches.next_link = next_link).unwrap();
        world.emulator.clear_requests();
        let expires = OffsetDateTime::now_utc() + DAY;
        let asset = west.create_asset("n", 0).await.unwrap();
        client.ensure_locator(LocatorId(Uuid::new_v4()), &asset, None, expires, None).await.unwrap();
        assert_eq!(world.requests_on("GET", "AccessPolicies", WEST), 2, "next link: {next_link}");
    }
    // Made once, by the first round, and found by the second.
    assert_eq!(west.access_policies().len(), 1101);
}
