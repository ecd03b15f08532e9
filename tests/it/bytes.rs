//! `verify.bytes`: what listings cannot tell is found where bytes are compared, as far as they are.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use testbed::cloud::{CloudModel, Comparison, Corruption, Costs, Damage, Files, Operation, Place, Workload};
use testbed::process::ACCOUNTS;
use testbed::proxy::{Action, ListEdit, Rule};
use testbed::storage::PutOptions;

use crate::slices::asset_of;
use crate::support::story::{AGAIN, Story};
use crate::support::{OUR_KEY, World, container_of, ensure_one_replica, run_once};

const MIB: u64 = 1024 * 1024;

/// What `copy` makes of a copy in which one byte, in the middle of this file, is another one: the exit code, what it says,
/// and the names of the files that do differ; first when the copy is made, then when the same command runs again.
async fn flipped(bytes: &str, name: &str) -> Result<[(Option<i32>, String, Vec<String>); 2]> {
    let world = World::start().await?;
    let model = CloudModel::start(&ACCOUNTS, Costs::none()).await?;
    world.write_config_with_blob_url(&["west", "east"], &format!("[verify]\nbytes = '{bytes}'\n"), model.endpoint())?;
    let files = vec![Files::new("segment-", 20, 4000).with_md5(), Files::new("large", 1, 20 * MIB).with_md5()];
    let at = |account: &str| Place { account: account.into(), container: "films".into() };
    model.seed(&Workload { account: "west".into(), container: "films".into(), files })?;
    let (damage, times) = (Damage::FlipByte, Some(1));
    model.corrupt(Corruption { account: "east".into(), container: "films".into(), name: name.into(), damage, times });
    let mut runs = Vec::new();
    for _ in 0..2 {
        let output = run_once(&world.config(), &["copy", "west", "east", "films"]).await?;
        let comparison = Comparison { left: at("west"), right: at("east"), ignored_metadata: vec![OUR_KEY.into()] };
        runs.push((output.status.code(), String::from_utf8(output.stderr)?, model.compare(&comparison)?.named));
    }
    let read = model.counters().of(Operation::GetBlob);
    assert_eq!(read > 0, bytes != "none", "{read} reads with '{bytes}'");
    runs.try_into().map_err(|_| anyhow::anyhow!("not two runs"))
}

#[tokio::test]
async fn a_flipped_byte_shows_in_no_listing() -> Result<()> {
    for (code, errors, named) in flipped("none", "segment-0000007").await? {
        assert_eq!((code, named.len()), (Some(0), 1), "{errors} {named:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_flipped_byte_is_found_where_it_is_compared_and_copied_again() -> Result<()> {
    for (bytes, name) in [("sample", "segment-0000007"), ("all", "segment-0000007"), ("all", "large")] {
        let [first, second] = flipped(bytes, name).await?;
        assert_eq!(first.0, Some(1), "{bytes}, {name}: {}", first.1);
        let told = first.1.contains("replica-bytes-differ") && first.1.contains(&format!("'{name}'"));
        assert!(told, "{bytes}, {name}: {}", first.1);
        assert_eq!((second.0, second.2), (Some(0), vec![]), "{bytes}, {name}: {}", second.1);
    }
    Ok(())
}

#[tokio::test]
async fn all_bytes_are_compared_once_over_several_slices() -> Result<()> {
    let settings = "[worker]\nconcurrency = 1\nslice_seconds = 1\n[verify]\nbytes = 'all'\n";
    let (mut story, proxy) = Story::begin_behind_proxy(settings).await?;
    let asset = asset_of(&story.world, 100).await?;
    let delay = Action::Delay(Duration::from_millis(300));
    proxy.fault(Rule::new(delay).method(reqwest::Method::GET).without_query("comp="));
    story.world.send_finished(&asset.id).await?;
    let event = story.event().await?;
    assert_eq!((&event["data"]["verification"]["bytes"], &event["data"]["attempts"]), (&"all".into(), &1.into()));
    let log = story.worker.log();
    assert!(log.contains("ranges of bytes are equal at both sites so far"), "no slice ended in between: {log}");
    let reads: Vec<_> = proxy.requests().into_iter().filter(|seen| seen.status == Some(206)).collect();
    let targets: BTreeSet<_> = reads.iter().map(|seen| seen.target.split('?').next().unwrap_or_default()).collect();
    assert_eq!((reads.len(), targets.len()), (212, 212), "106 files, none of them empty, at both sites: {reads:#?}");
    story.ensure_no_event().await
}

#[tokio::test]
async fn a_worker_copies_a_file_with_wrong_bytes_again() -> Result<()> {
    const FILE: &str = "movie_640x360_320.mp4";
    let (mut story, proxy) = Story::begin_behind_proxy("[verify]\nbytes = 'sample'\n").await?;
    let asset = story.send_asset().await?;
    story.event().await?;
    let replica = ensure_one_replica(&story.world, &asset.id).await?;
    let storage = story.world.storage("east")?;
    let container = container_of(&story.world, "east", &replica)?;
    let blobs = storage.list(&container).await?.context("no container")?;
    let copied = blobs.into_iter().find(|blob| blob.name == FILE).context("no copy")?;
    // Its listing says what it said before: this is what a service that damages copies looks like.
    let value = copied.content_md5.context("no MD5")?;
    let property = "Content-MD5".to_owned();
    proxy.fault(Rule::edit_list(ListEdit::Set { name: FILE.into(), property, value }).path("/east/"));
    let options = PutOptions { content_type: copied.content_type, ..PutOptions::default() };
    storage.put(&container, FILE, vec![b'x'; usize::try_from(copied.size)?], options).await?;
    story.world.send_finished(&asset.id).await?;
    story.worker.logs(AGAIN).await?;
    assert!(story.worker.log().contains("replica-bytes-differ"), "{}", story.worker.log());
    let event = story.finish(&asset.id, 2).await?;
    assert_eq!(event["data"]["copy"]["copiedFiles"], 1);
    Ok(())
}
