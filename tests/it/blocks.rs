//! Files in blocks: a slice ends between two of them, the next one goes on there, and nothing is copied twice.

use std::time::Duration;

use anyhow::{Context, Result};
use testbed::proxy::{Action, FaultProxy, Rule, Seen};
use testbed::storage::PutOptions;
use time::OffsetDateTime;

use crate::support::story::Story;
use crate::support::{Published, container_of, ensure_one_replica, eventually, media};

/// One job at a time, two requests at once, in slices of a second.
const SLICED: &str = "[worker]\nconcurrency = 1\nslice_seconds = 1\n[copy]\nmax_requests = 2\n";
const LARGE: &str = "large.mp4";
const MIB: usize = 1024 * 1024;
/// Eight blocks, the last one shorter.
const LARGE_BYTES: usize = 60 * MIB;
const BLOCKS: usize = 8;
/// Blocks that may be under way when a worker is killed.
const AT_ONCE: usize = 2;

fn bytes(seed: u8) -> Vec<u8> {
    (0..LARGE_BYTES).map(|at| seed.wrapping_add(u8::try_from(at / MIB).unwrap_or(0)) ^ (at & 0xff) as u8).collect()
}

async fn put_large(story: &Story, asset_id: &str, seed: u8) -> Result<()> {
    let container = container_of(&story.world, "west", asset_id)?;
    let options = PutOptions {
        content_type: Some("video/x-large".into()),
        cache_control: Some("max-age=60".into()),
        metadata: [("cms".to_owned(), "4711".to_owned())].into(),
        ..PutOptions::default()
    };
    story.world.storage("west")?.put(&container, LARGE, bytes(seed), options).await
}

/// The test media and one large file.
async fn asset(story: &Story) -> Result<Published> {
    let west = story.world.site("west");
    let id = west.create_asset("movie", 0).await?;
    west.upload(&id, &media()?).await?;
    put_large(story, &id, 0).await?;
    west.register_blobs(&id).await?;
    let start = OffsetDateTime::now_utc().truncate_to_second() - Duration::from_secs(600);
    let locator = west.publish(&id, None, Some(start), Duration::from_secs(20 * 86_400))?;
    Ok(Published { id, locator: locator.uuid })
}

fn slow_blocks(milliseconds: u64) -> Rule {
    Rule::new(Action::Delay(Duration::from_millis(milliseconds))).query("comp=block&")
}

/// The blocks that were staged, and those asked for.
fn staged(proxy: &FaultProxy) -> (usize, usize) {
    let is_block = |seen: &Seen| seen.method == "PUT" && seen.target.contains("comp=block&");
    let seen: Vec<_> = proxy.requests().into_iter().filter(is_block).collect();
    (seen.iter().filter(|seen| seen.status == Some(201)).count(), seen.len())
}

/// The replica is its source, to the last byte of the large file.
async fn ensure_equal(story: &Story, asset_id: &str) -> Result<()> {
    let replica = ensure_one_replica(&story.world, asset_id).await?;
    let of = async |site: &str, id: &str| {
        let container = container_of(&story.world, site, id)?;
        story.world.storage(site)?.get(&container, LARGE, None).await?.context("no such file")
    };
    assert!(of("east", &replica).await?.bytes == of("west", asset_id).await?.bytes, "other bytes");
    Ok(())
}

#[tokio::test]
async fn a_slice_ends_between_two_blocks_and_the_next_one_goes_on_there() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SLICED).await?;
    let asset = asset(&story).await?;
    proxy.fault(slow_blocks(900));
    story.world.send_finished(&asset.id).await?;
    let event = story.event().await?;
    assert!(story.logged("code=\"slice-spent\"") >= 1, "{}", story.worker.log());
    assert_eq!(staged(&proxy), (BLOCKS, BLOCKS), "each once: {}", story.worker.log());
    assert_eq!(event["data"]["attempts"], 1);
    assert_eq!(event["data"]["copy"]["copiedBytes"], event["data"]["content"]["bytes"], "of all slices together");
    ensure_equal(&story, &asset.id).await?;
    story.ensure_no_event().await
}

#[tokio::test]
async fn a_worker_killed_in_mid_file_costs_no_more_than_what_was_under_way() -> Result<()> {
    let (mut story, proxy) =
        Story::begin_behind_proxy(&SLICED.replace("slice_seconds = 1", "slice_seconds = 100")).await?;
    let asset = asset(&story).await?;
    proxy.fault(slow_blocks(600));
    story.world.send_finished(&asset.id).await?;
    let in_the_middle = || async { Ok((staged(&proxy).0 >= 2).then_some(())) };
    eventually("two blocks", in_the_middle).await.with_context(|| story.worker.log())?;
    let killed = std::mem::replace(&mut story.worker, story.world.worker().await?);
    killed.kill().await?;
    story.event().await?;
    let (_, asked) = staged(&proxy);
    assert!((BLOCKS..=BLOCKS + AT_ONCE).contains(&asked), "{asked} blocks were asked for");
    ensure_equal(&story, &asset.id).await?;
    story.ensure_no_event().await
}

#[tokio::test]
async fn blocks_of_an_older_version_are_not_taken_for_those_of_the_new_one() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SLICED).await?;
    let asset = asset(&story).await?;
    proxy.fault(slow_blocks(900));
    story.world.send_finished(&asset.id).await?;
    let in_the_middle = || async { Ok((staged(&proxy).0 >= 1).then_some(())) };
    eventually("a block", in_the_middle).await.with_context(|| story.worker.log())?;
    put_large(&story, &asset.id, 7).await?;
    story.event().await?;
    assert!(staged(&proxy).0 > BLOCKS, "those of the new version are staged anew: {}", story.worker.log());
    ensure_equal(&story, &asset.id).await?;
    story.ensure_no_event().await
}
