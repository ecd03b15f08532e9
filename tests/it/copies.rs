//! Copies that the storage service makes in its own time: waited for over slices and kills, adopted or aborted, and
//! never taken for done before they are.

use anyhow::{Context, Result, ensure};
use testbed::proxy::{Action, CopyOutcome, FaultProxy, Rule};
use testbed::storage::PutOptions;
use time::OffsetDateTime;

use crate::support::story::{Story, header};
use crate::support::{OUR_KEY, Published, container_of, ensure_one_replica, eventually};

/// The first file that is copied: the first one by name that is no manifest.
const FIRST: &str = "movie_320x180_100.mp4";
/// One copy after the other.
const ONE_BY_ONE: &str = "[worker]\nconcurrency = 1\n[copy]\nmax_requests = 1\n";
/// The same in slices that are over soon.
const SLICED: &str = "[worker]\nconcurrency = 1\nslice_seconds = 1\n[copy]\nmax_requests = 1\n";
/// Refused as Put Blob From URL, which Azurite does not have, then made by Copy Blob.
const ONE_COPY: usize = 2;

/// The copy of the first file stays pending for so many looks.
fn pending(looks: Option<u32>, outcome: CopyOutcome) -> Rule {
    Rule::pending_copy(looks, outcome).header("x-ms-requires-sync").path(FIRST).times(1)
}

/// The copy requests for the first file so far.
fn copies(proxy: &FaultProxy) -> usize {
    let is_copy = |seen: &&testbed::proxy::Seen| seen.copy_source.as_deref().is_some_and(|path| path.contains(FIRST));
    proxy.requests().iter().filter(is_copy).count()
}

/// The answers to Abort Copy Blob so far.
fn aborts(proxy: &FaultProxy) -> Vec<Option<u16>> {
    let seen = proxy.requests().into_iter();
    seen.filter(|seen| seen.method == "PUT" && seen.target.contains("comp=copy")).map(|seen| seen.status).collect()
}

/// Waits until the copy is under way and was looked at.
async fn is_under_way(proxy: &FaultProxy) -> Result<()> {
    let looks = || async {
        Ok(proxy.requests().iter().any(|seen| seen.method == "HEAD" && seen.target.contains(FIRST)).then_some(()))
    };
    eventually("a look at the copy", looks).await
}

/// The source's file gets other bytes of the same length.
async fn overwrite_first(story: &Story, asset: &Published) -> Result<()> {
    let (west, container) = (story.world.storage("west")?, container_of(&story.world, "west", &asset.id)?);
    let old = west.get(&container, FIRST, None).await?.context("no such file")?;
    let bytes: Vec<u8> = old.bytes.iter().map(|byte| byte ^ 0xff).collect();
    let options = PutOptions { content_type: old.info.content_type, ..PutOptions::default() };
    west.put(&container, FIRST, bytes, options).await
}

/// An asset whose replica somebody has begun with a copy onto the first file that is still under way; `from` says of
/// which source file, and whether the copy names its version as one of ours does.
async fn begun_replica(story: &Story, proxy: &FaultProxy, from: &str, names_version: bool) -> Result<Published> {
    let (world, http) = (&story.world, reqwest::Client::builder().no_proxy().build()?);
    let asset = world.encoded_asset("movie").await?;
    let east = world.site("east");
    let replica = east.create_asset("movie", 0).await?;
    east.set_asset(&replica, |replica| {
        replica.set("AlternateId", format!("stream-replicator/1 west {}\n", asset.id));
    })?;
    let address = |site: &str, asset_id: &str, name: &str| -> Result<reqwest::Url> {
        let (storage, container) = (world.storage(site)?, container_of(world, site, asset_id)?);
        let until = OffsetDateTime::now_utc() + time::Duration::hours(1);
        let mut url = storage.blob_url(&container, name, Some(&storage.container_sas(&container, "rw", until)));
        url.set_port(proxy.url().port()).ok().context("no port")?;
        Ok(url)
    };
    let version = world.storage("west")?.head(&container_of(world, "west", &asset.id)?, from).await?;
    let request = http.put(address("east", &replica, FIRST)?).header("x-ms-version", "2021-12-02");
    let request = request.header("x-ms-copy-source", address("west", &asset.id, from)?.as_str());
    let request = match version.filter(|_| names_version) {
        Some(version) => request.header(format!("x-ms-meta-{OUR_KEY}"), version.etag),
        None => request,
    };
    let answer = request.header("content-length", "0").send().await?;
    ensure!(answer.headers().get("x-ms-copy-status").is_some_and(|status| status == "pending"), "{answer:?}");
    Ok(asset)
}

#[tokio::test]
async fn pending_copy_of_same_source_is_adopted() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SLICED).await?;
    proxy.fault(pending(Some(10), CopyOutcome::Success));
    let asset = story.send_asset().await?;
    is_under_way(&proxy).await?;
    // neither the next slice nor the next worker begins it again
    let killed = std::mem::replace(&mut story.worker, story.world.worker().await?);
    killed.kill().await?;
    story.worker.logs("copy-pending").await?;
    let event = story.event().await?;
    assert_eq!((copies(&proxy), aborts(&proxy)), (ONE_COPY, vec![]));
    assert_eq!(event["data"]["attempts"], 1);
    ensure_one_replica(&story.world, &asset.id).await?;
    story.ensure_no_event().await
}

#[tokio::test]
async fn pending_copy_that_names_its_version_is_adopted_whoever_began_it() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    proxy.fault(Rule::pending_copy(Some(3), CopyOutcome::Success).path(FIRST).times(1));
    let asset = begun_replica(&story, &proxy, FIRST, true).await?;
    story.world.send_finished(&asset.id).await?;
    story.finish(&asset.id, 1).await?;
    assert_eq!((copies(&proxy), aborts(&proxy)), (1, vec![]), "the one that was there");
    Ok(())
}

#[tokio::test]
async fn pending_copy_without_a_version_is_awaited_and_replaced() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    proxy.fault(Rule::pending_copy(Some(3), CopyOutcome::Success).path(FIRST).times(1));
    let asset = begun_replica(&story, &proxy, FIRST, false).await?;
    story.world.send_finished(&asset.id).await?;
    story.finish(&asset.id, 1).await?;
    assert_eq!((copies(&proxy), aborts(&proxy)), (1 + ONE_COPY, vec![]));
    Ok(())
}

#[tokio::test]
async fn pending_copy_of_other_source_is_aborted() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    proxy.fault(Rule::pending_copy(None, CopyOutcome::Success).path(FIRST).times(1));
    let asset = begun_replica(&story, &proxy, "movie_480x270_180.mp4", true).await?;
    story.world.send_finished(&asset.id).await?;
    story.finish(&asset.id, 1).await?;
    assert_eq!((copies(&proxy), aborts(&proxy)), (ONE_COPY, vec![Some(204)]));
    Ok(())
}

#[tokio::test]
async fn pending_copy_that_the_listing_did_not_show_is_found_when_ours_is_refused() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    proxy.fault(Rule::pending_copy(None, CopyOutcome::Success).path(FIRST).times(1));
    let asset = begun_replica(&story, &proxy, "movie_480x270_180.mp4", true).await?;
    let hidden = testbed::proxy::ListEdit::Omit(FIRST.to_owned());
    // Not when both sites are looked at, nor when what is missing is read.
    proxy.fault(Rule::edit_list(hidden).path("/east/").times(2));
    story.world.send_finished(&asset.id).await?;
    story.event().await?;
    assert_eq!(story.logged("copy-pending"), 0, "it took no second slice");
    assert_eq!((copies(&proxy), aborts(&proxy)), (1 + ONE_COPY, vec![Some(204)]), "refused once");
    ensure_one_replica(&story.world, &asset.id).await?;
    Ok(())
}

#[tokio::test]
async fn source_changed_in_mid_copy_ends_the_copy_of_the_old_version() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(SLICED).await?;
    proxy.fault(pending(None, CopyOutcome::Success));
    let asset = story.send_asset().await?;
    is_under_way(&proxy).await?;
    overwrite_first(&story, &asset).await?;
    let event = story.finish(&asset.id, 1).await?;
    assert_eq!((copies(&proxy), aborts(&proxy)), (2 * ONE_COPY - 1, vec![Some(204)]));
    assert_eq!(event["data"]["content"]["files"], 6);
    Ok(())
}

#[tokio::test]
async fn copy_that_never_ends_is_continued_until_the_deadline_and_aborted_then() -> Result<()> {
    let settings = SLICED.replace("[worker]\n", "[worker]\njob_deadline_seconds = 6\n");
    let (mut story, proxy) = Story::begin_behind_proxy(&settings).await?;
    proxy.fault(pending(None, CopyOutcome::Success));
    let asset = story.send_asset().await?;
    let twice = || async { Ok((story.logged("code=\"copy-pending\"") >= 2).then_some(())) };
    eventually("two slices", twice).await.with_context(|| story.worker.log())?;
    let replica = story.world.site("east").assets().pop().context("no replica asset")?;
    assert!(story.world.site("east").files(&replica.id).is_empty(), "nothing is registered");

    let letter = story.dead_letter().await?;
    assert_eq!(letter.routing_key, "dead.expired");
    assert_eq!(header(&letter, "x-replication-code")?, "copy-pending");
    let error = header(&letter, "x-replication-error")?;
    assert!(error.contains(FIRST) && error.contains(" bytes so far; ") && error.contains("aborted"), "{error}");
    assert!(header(&letter, "x-replication-hint")?.contains("replay"));
    assert!(header(&letter, "x-replication-slice")?.parse::<u32>()? >= 2);
    assert_eq!((copies(&proxy), aborts(&proxy)), (ONE_COPY, vec![Some(204)]), "one copy in all slices");
    assert!(story.world.site("east").locators(&replica.id).is_empty(), "nothing is published");

    // the hint followed
    story.world.send(letter.body, letter.message_id.as_deref()).await?;
    story.finish(&asset.id, 1).await?;
    Ok(())
}

#[tokio::test]
async fn copy_that_cannot_be_aborted_says_what_is_to_be_done() -> Result<()> {
    let settings = SLICED.replace("[worker]\n", "[worker]\njob_deadline_seconds = 1\n");
    let (mut story, proxy) = Story::begin_behind_proxy(&settings).await?;
    proxy.fault(pending(None, CopyOutcome::Success));
    let lost = proxy.fault(Rule::answer(500, "InternalError").query("comp=copy"));
    story.send_asset().await?;
    let letter = story.dead_letter().await?;
    assert_eq!(header(&letter, "x-replication-class")?, "expired");
    let hint = header(&letter, "x-replication-hint")?;
    assert!(hint.contains("copy id ") && hint.contains("500 InternalError"), "{hint}");
    assert!(lost.hits() > 0);
    Ok(())
}

#[tokio::test]
async fn failed_copy_is_repeated() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    proxy.fault(pending(Some(1), CopyOutcome::Failed));
    let asset = story.send_asset().await?;
    story.finish(&asset.id, 1).await?;
    assert_eq!(copies(&proxy), ONE_COPY + 1, "made again in the same try");
    Ok(())
}

#[tokio::test]
async fn aborted_copy_is_not_success_and_not_repeated_before_a_pause() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(ONE_BY_ONE).await?;
    proxy.fault(pending(Some(1), CopyOutcome::Aborted));
    let asset = story.send_asset().await?;
    let event = story.event().await?;
    assert_eq!(event["data"]["attempts"], 2);
    assert_eq!(story.logged("code=\"copy-aborted\""), 1, "not found out only by comparing: {}", story.worker.log());
    assert_eq!(copies(&proxy), ONE_COPY + 1);
    ensure_one_replica(&story.world, &asset.id).await?;
    story.ensure_no_event().await
}

/// Each meets another file, so that none meets more than two; there are more tries than that.
#[tokio::test]
async fn passing_trouble_is_tried_through_within_one_attempt() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy("[worker]\nconcurrency = 1\n[http]\ntries = 4\n").await?;
    let is_copy = |rule: Rule| rule.header("x-ms-requires-sync");
    let faults = [
        is_copy(Rule::answer(503, "ServerBusy")).path(FIRST).times(2),
        is_copy(Rule::answer_after(500, "OperationTimedOut")).path("movie_480").times(1),
        is_copy(Rule::new(Action::Cut)).path("movie_640").times(1),
        is_copy(Rule::new(Action::CutAfter)).path("movie.ismc").times(1),
        is_copy(Rule::answer(403, "CannotVerifyCopySource")).path("/movie.ism").times(1),
        Rule::answer(503, "ServerBusy").query("comp=list").query("restype=container").path("/west/asset").times(1),
    ];
    let faults = faults.map(|rule| proxy.fault(rule));
    let asset = story.send_asset().await?;
    let log = story.worker.log();
    story.finish(&asset.id, 1).await?;
    assert_eq!(faults.map(|fault| fault.hits()), [2, 1, 1, 1, 1, 1], "{log}");
    Ok(())
}

/// Twenty seconds and some for its bytes are long for a copy; the call itself might be silent for minutes.
#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for_and_costs_no_attempt() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy("").await?;
    let hours = Rule::new(Action::Delay(std::time::Duration::from_secs(7200)));
    let lost = proxy.fault(hours.header("x-ms-requires-sync").path(FIRST).times(1));
    let asset = story.send_asset().await?;
    story.finish(&asset.id, 1).await?;
    assert_eq!(lost.hits(), 1);
    Ok(())
}
