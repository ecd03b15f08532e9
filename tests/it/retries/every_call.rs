//! Every kind of call that a run makes to the media services, met by the same trouble once: the run does not notice.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use testbed::emulator::{DoorKind, FaultAction, FaultBody, FaultRule, Request, Set};
use testbed::proxy::{FaultProxy, Rule};

use super::{AGAIN, Story, header};
use crate::support::{World, ensure_one_replica, eventually};

/// One kind of call: the account, the verb, the set, and what follows the key, such as `/Files`.
type Kind = (String, String, String, String);

/// So many kinds there are at least, for a job's output that nobody has published.
const AT_LEAST: usize = 20;

fn kind(request: &Request) -> Kind {
    let path = request.path.split('?').next().unwrap_or_default();
    let after_key = path.rsplit_once("')").map_or("", |(_, rest)| rest);
    let account = request.account.clone().unwrap_or_default();
    (account, request.method.clone(), request.entity_set.clone().unwrap_or_default(), after_key.to_owned())
}

/// The kinds of calls that the clusters have answered with success so far.
fn kinds(story: &Story) -> BTreeSet<Kind> {
    let requests = story.world.emulator.requests();
    requests.at(DoorKind::Cluster).filter(|request| (200..300).contains(&request.status)).map(kind).collect()
}

/// Lets an encoding job make an asset at the source, and announces the job.
async fn send_job(story: &Story) -> Result<String> {
    let west = story.world.site("west");
    let job = west.submit_job("encoding", &["movie"]).await?;
    let is_finished = || {
        let jobs = west.entities(Set::Jobs);
        jobs.iter().any(|one| one.key() == job && one.number("State") == Some(3))
    };
    eventually("the end of the encoding job", || async { Ok(is_finished().then_some(())) }).await?;
    let message = json!({ "site": "west", "asset": { "job": { "id": job } } });
    story.world.send(message.to_string(), Some("of-a-job")).await?;
    Ok(west.assets().remove(0).id)
}

/// All kinds of calls of one undisturbed run.
async fn all_kinds() -> Result<BTreeSet<Kind>> {
    let mut story = Story::begin("").await?;
    send_job(&story).await?;
    story.event().await?;
    let kinds = kinds(&story);
    assert!(kinds.len() >= AT_LEAST, "only {kinds:#?}");
    Ok(kinds)
}

/// Faults for every kind, those with something behind the key first, so that none takes what is another's.
fn rules(kinds: &BTreeSet<Kind>, fault: &FaultRule) -> Vec<FaultRule> {
    let mut kinds: Vec<_> = kinds.iter().collect();
    kinds.sort_by_key(|(.., after_key)| after_key.is_empty());
    let rule = |(account, method, set, after_key): &Kind| {
        let rule = fault.clone().on(method, set).of_account(account);
        if after_key.is_empty() { rule } else { rule.path(&format!("'){after_key}")) }
    };
    kinds.into_iter().map(rule).collect()
}

/// Each kind of call meets this fault once, in one and the same run.
async fn every_kind_of_call_meets(fault: FaultRule) -> Result<()> {
    let kinds = all_kinds().await?;
    let story = Story::begin("").await?;
    for rule in rules(&kinds, &fault) {
        story.world.emulator.fault(rule);
    }
    let asset = send_job(&story).await?;
    let mut story = story;
    let event = story.event().await?;
    assert_eq!(story.world.emulator.clear_faults(), 0, "a kind of call did not meet its fault");
    assert_eq!((&event["data"]["attempts"], story.logged(AGAIN)), (&json!(1), 0));
    for site in ["west", "east"] {
        let account = story.world.site(site);
        assert_eq!(account.access_policies().len(), 1, "{site}");
        assert_eq!(account.entities(Set::Locators).len(), 1, "{site}");
    }
    story.world.send_finished(&asset).await?;
    story.finish(&asset, 1).await?;
    Ok(())
}

fn answer(status: u16, body: FaultBody) -> FaultRule {
    FaultRule::new(FaultAction::Answer { status, body, retry_after_seconds: None })
}

#[tokio::test]
async fn a_token_that_dies_is_renewed_whichever_call_meets_it() -> Result<()> {
    every_kind_of_call_meets(FaultRule::new(FaultAction::RevokeToken)).await
}

#[tokio::test]
async fn a_500_after_the_commit_does_no_harm_whichever_call_meets_it() -> Result<()> {
    every_kind_of_call_meets(answer(500, FaultBody::Odata).after_commit()).await
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_commit_does_no_harm_whichever_call_meets_it() -> Result<()> {
    every_kind_of_call_meets(FaultRule::new(FaultAction::Drop).after_commit()).await
}

#[tokio::test]
async fn a_busy_service_is_asked_again_whichever_call_meets_it() -> Result<()> {
    every_kind_of_call_meets(answer(503, FaultBody::Html)).await
}

#[tokio::test]
async fn a_429_is_asked_again_whichever_call_meets_it() -> Result<()> {
    every_kind_of_call_meets(answer(429, FaultBody::Empty)).await
}

/// A world whose media services are reached through proxies, of west and of east.
async fn behind_proxies() -> Result<(Story, [FaultProxy; 2])> {
    let world = World::start().await?;
    let mut proxies = Vec::new();
    let text = std::fs::read_to_string(world.config())?;
    let front_door = format!("api_url = '{}'", world.emulator.front_door_url());
    let mut parts = text.split(&front_door);
    let mut changed = parts.next().unwrap_or_default().to_owned();
    for (site, part) in ["west", "east"].into_iter().zip(parts) {
        let cluster: reqwest::Url = world.emulator.cluster_url(site).parse()?;
        let address = cluster.socket_addrs(|| None)?;
        let proxy = FaultProxy::start(*address.first().context("the cluster has no address")?).await?;
        changed += &format!("api_url = '{}api/'{part}", proxy.url());
        proxies.push(proxy);
    }
    std::fs::write(world.config(), changed)?;
    let proxies = <[FaultProxy; 2]>::try_from(proxies).ok().context("not two sites")?;
    Ok((Story::begin_in(world).await?, proxies))
}

/// 301 to the root of the proxy itself, as the front door sends its callers to a root.
fn redirect(proxy: &FaultProxy) -> Rule {
    Rule::answer(301, "Moved").answer_header("location", &format!("{}api/", proxy.url()))
}

#[tokio::test]
async fn every_call_of_every_verb_is_sent_again_where_it_is_redirected_to() -> Result<()> {
    let kinds = all_kinds().await?;
    let (story, proxies) = behind_proxies().await?;
    let mut faults = Vec::new();
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(.., after_key)| after_key.is_empty());
    for (account, method, set, after_key) in &kinds {
        let proxy = &proxies[usize::from(account == "eastmedia")];
        let rule = redirect(proxy).method(Method::from_bytes(method.as_bytes())?).times(1);
        let part = if after_key.is_empty() { format!("/{set}") } else { format!("'){after_key}") };
        faults.push((method.clone(), proxy.fault(rule.path(&part))));
    }
    let asset = send_job(&story).await?;
    let mut story = story;
    let event = story.event().await?;
    assert_eq!(event["data"]["attempts"], 1);
    assert!(faults.iter().all(|(_, fault)| fault.hits() == 1), "a kind of call was not redirected: {kinds:#?}");
    let verbs: BTreeSet<_> = faults.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(verbs, BTreeSet::from(["GET", "MERGE", "POST"]), "DELETE is not part of a run");
    ensure_one_replica(&story.world, &asset).await?;
    Ok(())
}

#[tokio::test]
async fn a_registration_of_files_that_is_redirected_without_end_is_given_up_after_three_hops() -> Result<()> {
    let (mut story, [_west, east]) = behind_proxies().await?;
    let redirected = east.fault(redirect(&east).path("/CreateFileInfos"));
    let asset = story.send_asset().await?;
    let letter = story.dead_letter().await?;
    assert_eq!(header(&letter, "x-replication-code")?, "redirect-loop");
    assert_eq!(header(&letter, "x-replication-step")?, "register_files");
    assert_eq!(redirected.hits(), 4, "the call and three hops");

    east.clear_faults();
    story.world.send(letter.body, letter.message_id.as_deref()).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_never_taken_is_renewed_once_and_then_permanent() -> Result<()> {
    let mut story = Story::begin("").await?;
    let refused = FaultRule::new(FaultAction::RevokeToken).on("POST", "Locators").of_account("eastmedia");
    story.world.emulator.fault(refused.times(99));
    let asset = story.send_asset().await?;
    let letter = story.dead_letter().await?;
    assert_eq!(header(&letter, "x-replication-code")?, "unauthorized");
    assert_eq!(header(&letter, "x-replication-site")?, "east");
    assert!(header(&letter, "x-replication-hint")?.contains("media.key"));
    assert_eq!(story.world.emulator.clear_faults(), 1);
    let posts = story.world.emulator.requests();
    let posts = posts.at(DoorKind::Cluster).filter(|one| one.method == "POST" && one.path.contains("/Locators"));
    assert_eq!(posts.map(|one| one.status).collect::<Vec<_>>(), [401, 401], "once more with a new token");

    story.world.send(letter.body, letter.message_id.as_deref()).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}
