//! The copy engine at the model of a cloud: every size, a service that refuses, copies that arrive damaged, sources that change.

mod kills;

use anyhow::{Context, Result, ensure};
use testbed::cloud::{CloudModel, Comparison, Corruption, Costs, Damage, Files, Operation, Overwrite, Place, Workload};
use testbed::process::ACCOUNTS;
use time::OffsetDateTime;

use crate::support::{OUR_KEY, World, run_once};

const MIB: u64 = 1024 * 1024;
const CONTAINER: &str = "films";

/// The model in place of both storage accounts, and one container at `west`.
async fn world_of(costs: Costs, files: Vec<Files>) -> Result<(World, CloudModel)> {
    let (world, model) = (World::start().await?, CloudModel::start(&ACCOUNTS, costs).await?);
    world.write_config_with_blob_url(&["west", "east"], "", model.endpoint())?;
    model.seed(&Workload { account: "west".into(), container: CONTAINER.into(), files })?;
    Ok((world, model))
}

async fn copy(world: &World) -> Result<(Option<i32>, String)> {
    let output = run_once(&world.config(), &["copy", "west", "east", CONTAINER]).await?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

fn differences(model: &CloudModel) -> Result<Vec<String>> {
    let place = |account: &str| Place { account: account.into(), container: CONTAINER.into() };
    let (left, right) = (place("west"), place("east"));
    Ok(model.compare(&Comparison { left, right, ignored_metadata: vec![OUR_KEY.into()] })?.named)
}

#[tokio::test]
async fn every_size_arrives_with_and_without_put_blob_from_url() -> Result<()> {
    for lacks_put_blob_from_url in [false, true] {
        let sizes = [0, 1, 8 * MIB, 8 * MIB + 1, 256 * MIB, 256 * MIB + 1, 3000 * MIB];
        let files = sizes.iter().flat_map(|&size| {
            let file = Files::new(&format!("file-{size}"), 1, size).of_type("video/mp4");
            let small = Files::new(&format!("with-md5-{size}"), 1, size % MIB).with_md5();
            [file, small]
        });
        let costs = Costs { lacks_put_blob_from_url, ..Costs::none() };
        let (world, model) = world_of(costs, files.collect()).await?;
        let (code, errors) = copy(&world).await?;
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(differences(&model)?, [""; 0]);
        let counters = model.counters();
        // 8 MiB each but for the largest, of which a 256th is more
        ensure!(counters.of(Operation::PutBlockFromUrl) > 300, "{counters:?}");
        assert_eq!(counters.of(Operation::CopyBlob), 0, "a copy in the service's own time was begun");
        assert_eq!(counters.of(Operation::PutBlockList), 4);
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_refuses_too_many_requests_gets_no_more_than_it_takes() -> Result<()> {
    let costs = Costs { requests_per_second: Some(100.0), retry_after_seconds: Some(1), ..Costs::none() };
    let (world, model) = world_of(costs, vec![Files::new("segment-", 300, 1000)]).await?;
    let (code, errors) = copy(&world).await?;
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(differences(&model)?, [""; 0]);
    assert!(model.counters().with_status(503) > 0, "nothing was refused: {:?}", model.counters());
    Ok(())
}

#[tokio::test]
async fn what_arrives_damaged_is_found_and_copied_again() -> Result<()> {
    for damage in [Damage::Truncate, Damage::DropMetadata, Damage::DropContentType, Damage::DropMd5] {
        let mut file = Files::new("segment-", 20, 4000).with_md5().of_type("video/mp4");
        file.metadata.insert("cms".into(), "4711".into());
        let (world, model) = world_of(Costs::none(), vec![file]).await?;
        let (account, container, name) = ("east".into(), CONTAINER.into(), "segment-0000007".into());
        model.corrupt(Corruption { account, container, name, damage, times: Some(1) });
        let (code, errors) = copy(&world).await?;
        assert_eq!(code, Some(1), "{damage:?} was not found");
        assert!(errors.contains("replica-differs") && errors.contains("'segment-0000007'"), "{damage:?}: {errors}");
        let (code, errors) = copy(&world).await?;
        assert_eq!((code, differences(&model)?), (Some(0), vec![]), "{damage:?}: {errors}");
    }
    Ok(())
}

#[tokio::test]
async fn a_source_that_changes_in_mid_copy_is_never_taken_for_copied() -> Result<()> {
    for name in ["segment-0000000", "segment-0000199", "large"] {
        let files = vec![Files::new("segment-", 200, 4000), Files::new("large", 1, 300 * MIB)];
        let (world, model) = world_of(Costs::none(), files).await?;
        let (account, container) = ("west".into(), CONTAINER.into());
        model.overwrite(Overwrite { account, container, name: name.into(), after_copies: 20, size: None });
        let (code, errors) = copy(&world).await?;
        assert_eq!(code, Some(1), "{name}");
        assert!(errors.contains("source-changed"), "{name}: {errors}");
        let (code, errors) = copy(&world).await?;
        assert_eq!((code, differences(&model)?), (Some(0), vec![]), "{name}: {errors}");
    }
    Ok(())
}

/// As azcopy leaves them when it is killed: their ids have another length than ours, which the service refuses side by side.
#[tokio::test]
async fn blocks_that_another_tool_has_left_are_not_in_the_way() -> Result<()> {
    let (world, model) = world_of(Costs::none(), vec![Files::new("large", 1, 300 * MIB)]).await?;
    let east = model.storage("east")?;
    east.create_container(CONTAINER).await?;
    let sas = east.container_sas(CONTAINER, "rw", OffsetDateTime::now_utc() + time::Duration::hours(1));
    let mut url = east.blob_url(CONTAINER, "large", Some(&sas));
    url.query_pairs_mut().append_pair("comp", "block").append_pair("blockid", "QUFBQQ==");
    let staged = reqwest::Client::builder().no_proxy().build()?.put(url).body("another tool's").send().await?;
    staged.error_for_status().context("the block is not staged")?;
    let (code, errors) = copy(&world).await?;
    assert_eq!((code, differences(&model)?), (Some(0), vec![]), "{errors}");
    Ok(())
}
