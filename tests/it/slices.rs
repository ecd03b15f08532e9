//! Assets that take longer than one slice: the job goes on at the end of the queue, gets on in every slice, is announced
//! once, and needs no more memory for many files than for few.

mod large;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use testbed::emulator::{FaultAction, FaultRule, Set};
use testbed::proxy::{Action, FaultProxy, Rule, Seen};
use testbed::storage::PutOptions;
use time::OffsetDateTime;

use crate::support::story::{Story, header};
use crate::support::{Published, World, container_of, ensure_one_replica, eventually, media};

/// One job at a time, four copies at a time, in slices of a second.
const SLICED: &str = "[worker]\nconcurrency = 1\nslice_seconds = 1\n[copy]\nmax_requests = 4\n";
/// What the log says of a slice that was over.
const SLICE_OVER: &str = "code=\"slice-spent\"";

/// A published asset at `west`: the test media and so many small files more.
pub async fn asset_of(world: &World, more: usize) -> Result<Published> {
    let west = world.site("west");
    let id = west.create_asset("movie", 0).await?;
    west.upload(&id, &media()?).await?;
    let (storage, container) = (world.storage("west")?, container_of(world, "west", &id)?);
    let puts = (0..more).map(|number| {
        let (storage, container) = (&storage, &container);
        let options = PutOptions { content_type: Some("video/iso.segment".into()), ..PutOptions::default() };
        async move { storage.put(container, &segment(number), format!("{number}"), options).await }
    });
    stream::iter(puts).buffer_unordered(16).try_collect::<()>().await?;
    west.register_blobs(&id).await?;
    // Whole seconds: the service keeps no finer times than it writes on the wire.
    let start = OffsetDateTime::now_utc().truncate_to_second() - Duration::from_secs(600);
    let locator = west.publish(&id, None, Some(start), Duration::from_secs(20 * 86_400))?;
    Ok(Published { id, locator: locator.uuid })
}

fn segment(number: usize) -> String {
    format!("segment-{number:05}.m4s")
}

/// Every copy takes that much longer, so that it is this that makes an asset a long one, and not the machine: a slow one
/// gets few files done in a slice.
fn slow_copies(milliseconds: u64) -> Rule {
    Rule::new(Action::Delay(Duration::from_millis(milliseconds))).header("x-ms-copy-source")
}

/// The copies of segments that were made.
fn copied_segments(proxy: &FaultProxy) -> usize {
    let is_done = |seen: &&Seen| {
        seen.copy_source.as_deref().is_some_and(|path| path.contains("/segment-")) && seen.status == Some(202)
    };
    proxy.requests().iter().filter(is_done).count()
}

fn copy_counts(event: &Value) -> Result<(u64, u64, u64)> {
    let copy = &event["data"]["copy"];
    let number = |name: &str| copy[name].as_u64().with_context(|| format!("no {name} in {event:#}"));
    Ok((number("copiedFiles")?, number("skippedFiles")?, number("copiedBytes")?))
}

#[tokio::test]
async fn large_asset_takes_several_slices_lets_others_pass_and_makes_one_event() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SLICED).await?;
    let large = asset_of(&story.world, 40).await?;
    let small = story.world.encoded_asset("small").await?;
    let slow = proxy.fault(slow_copies(500).path("/segment-"));
    story.world.send_finished(&large.id).await?;
    eventually("the first slice", || async { Ok((slow.hits() > 0).then_some(())) }).await?;
    story.world.send_finished(&small.id).await?;

    let first = story.event().await?;
    assert_eq!(first["data"]["asset"]["id"], small.id.as_str(), "the one behind it did not have to wait for its end");
    let second = story.event().await?;
    assert_eq!(second["data"]["asset"]["id"], large.id.as_str());
    assert_eq!(second["data"]["attempts"], 1, "a slice is no attempt");
    let slices = story.logged(SLICE_OVER);
    assert!(slices >= 2, "{slices} slices were over");
    assert!(story.worker.log().contains(" of 46 files are copied, "), "{}", story.worker.log());

    // The counts are those of the whole job, and no file was copied twice.
    let bytes = second["data"]["content"]["bytes"].as_u64().context("no bytes")?;
    assert_eq!(copy_counts(&second)?, (46, 0, bytes));
    assert!(second["data"]["copy"]["seconds"].as_f64() > Some(4.0), "all slices together: {second:#}");
    assert_eq!(copied_segments(&proxy), 40);
    story.ensure_no_event().await
}

#[tokio::test]
async fn worker_killed_between_slices_costs_no_second_event() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SLICED).await?;
    let large = asset_of(&story.world, 40).await?;
    proxy.fault(slow_copies(250).path("/segment-"));
    story.world.send_finished(&large.id).await?;
    let in_second_slice = || async {
        let at_slice_end = copied_segments(&proxy);
        Ok((story.logged(SLICE_OVER) == 1 && at_slice_end > 0 && at_slice_end < 40).then_some(()))
    };
    eventually("the second slice", in_second_slice).await.with_context(|| story.worker.log())?;
    let killed = std::mem::replace(&mut story.worker, story.world.worker().await?);
    killed.kill().await?;
    let event = story.finish(&large.id, 1).await?;
    let (copied, skipped, _) = copy_counts(&event)?;
    assert_eq!(copied + skipped, 46);
    // only copies that were under way at the kill are made again
    assert!((36..=44).contains(&copied_segments(&proxy)), "{}", copied_segments(&proxy));
    Ok(())
}

#[tokio::test]
async fn deadline_in_mid_slices_is_a_dead_letter_that_can_be_replayed() -> Result<()> {
    let settings = SLICED.replace("[worker]\n", "[worker]\njob_deadline_seconds = 3\n");
    let (mut story, proxy) = Story::begin_behind_proxy(&settings).await?;
    let large = asset_of(&story.world, 40).await?;
    proxy.fault(slow_copies(750).path("/segment-"));
    story.world.send_finished(&large.id).await?;
    let letter = story.dead_letter().await?;
    assert_eq!(letter.routing_key, "dead.expired");
    assert_eq!(header(&letter, "x-replication-code")?, "slice-spent");
    assert_eq!(header(&letter, "x-replication-attempt")?, "1", "no slice used up an attempt");
    assert!(header(&letter, "x-replication-slice")?.parse::<u32>()? >= 1, "slices went before");
    let error = header(&letter, "x-replication-error")?;
    assert!(error.contains(" of 46 files are copied, ") && error.contains("time is over"), "{error}");
    let copied: usize = header(&letter, "x-replication-copied-files")?.parse()?;
    assert!(copied >= copied_segments(&proxy) && copied > 0, "{copied}");

    // Sent again with more time, it copies only the rest.
    proxy.clear_faults();
    story.world.change_config("job_deadline_seconds = 3", "job_deadline_seconds = 300")?;
    let hasty = std::mem::replace(&mut story.worker, story.world.worker().await?);
    assert_eq!(hasty.terminate().await?, Some(0));
    story.world.send(letter.body, letter.message_id.as_deref()).await?;
    let event = story.finish(&large.id, 1).await?;
    assert_eq!(copy_counts(&event)?.1, u64::try_from(copied)?, "what was there before it was replayed");
    Ok(())
}

#[tokio::test]
async fn slices_shorter_than_a_listing_get_on_all_the_same() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(&SLICED.replace("= 4", "= 32")).await?;
    let large = asset_of(&story.world, 60).await?;
    let listings = Rule::new(Action::Delay(Duration::from_millis(1_100))).query("comp=list").query("restype=container");
    proxy.fault(listings.path("/west/"));
    // longer than the time to work that is added to a slice whose listings took all of it
    proxy.fault(slow_copies(1_100).path("/segment-"));
    story.world.send_finished(&large.id).await?;
    let event = story.event().await?;
    let slices = story.logged(SLICE_OVER);
    assert!((1..=4).contains(&slices), "each slice starts as many copies as may run at once: {slices}");
    assert_eq!(copy_counts(&event)?.0, 66);
    ensure_one_replica(&story.world, &large.id).await?;
    Ok(())
}

#[tokio::test]
async fn files_are_described_eight_at_once_over_slices_with_the_primary_last() -> Result<()> {
    let mut story = Story::begin("[worker]\nslice_seconds = 1\n").await?;
    let large = asset_of(&story.world, 40).await?;
    let west = story.world.site("west");
    for file in west.files(&large.id) {
        west.set(Set::Files, &file.id, |file| {
            file.set("MimeType", "video/iso.segment".to_owned());
        })?;
    }
    // As many as there may ever be, all of them held until the slice is long over.
    let held = FaultRule::new(FaultAction::DelayMilliseconds(600_000)).on("MERGE", "Files").of_account("eastmedia");
    story.world.emulator.fault(held.times(1_000));
    story.world.send_finished(&large.id).await?;
    let merges = || story.world.emulator.delayed().count("MERGE", "Files", "eastmedia");
    eventually("eight calls at once", || async { Ok((merges() == 8).then_some(())) }).await?;
    ensure!(merges() == 8, "more than eight at once");
    story.world.emulator.clear_faults();
    let slow = FaultRule::new(FaultAction::DelayMilliseconds(1_100)).on("MERGE", "Files").of_account("eastmedia");
    story.world.emulator.fault(slow.times(1_000));
    story.world.emulator.release_delayed();

    let event = story.event().await?;
    assert_eq!((&event["data"]["attempts"], copy_counts(&event)?.1), (&1.into(), 0));
    assert!(story.logged("describing the files, ") >= 2, "{}", story.worker.log());
    let replica = ensure_one_replica(&story.world, &large.id).await?;
    let requests = story.world.emulator.requests();
    assert_eq!(requests.count("MERGE", "Files", "eastmedia"), 46, "each file once");
    let files = story.world.site("east").files(&replica);
    let primary = files.iter().find(|file| file.is_primary).context("no primary file")?;
    let is_merge = |request: &&testbed::emulator::Request| request.method == "MERGE" && request.path.contains("Files");
    let last = requests.iter().rfind(is_merge).context("no MERGE")?;
    let uuid = primary.id.rsplit(':').next().unwrap_or_default();
    assert!(last.path.contains(uuid), "{} is not of the primary file {uuid}", last.path);
    story.ensure_no_event().await
}
