//! The main job: an encoded asset becomes playable at the second site and is announced.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::storage::PutOptions;
use url::Url;

use crate::support::{OUR_KEY, Published, World, comparable, container_of, described_files, next_event};

#[tokio::test]
async fn an_encoded_asset_becomes_playable_at_the_second_site_and_is_announced() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    let sent = world.send_finished(&asset.id).await?;
    let message = crate::support::within("an event", events.next()).await.with_context(|| worker.log())?;
    let event = message.json()?;

    // What a subscriber relies on without reading the body.
    let id = event["id"].as_str().context("no id")?;
    assert_ne!(id, sent, "the event has an id of its own");
    assert_eq!(message.routing_key, "media.asset.replicated.west.east");
    assert_eq!(message.message_id.as_deref(), Some(id));
    assert_eq!(message.correlation_id.as_deref(), Some(asset.id.as_str()));
    assert_eq!(message.kind.as_deref(), Some("media.asset.replicated.v1"));
    assert_eq!(message.content_type.as_deref(), Some("application/cloudevents+json; charset=utf-8"));
    for (attribute, header) in
        [("specversion", "ce-specversion"), ("id", "ce-id"), ("source", "ce-source"), ("type", "ce-type")]
    {
        assert_eq!(message.headers.get(header).map(String::as_str), event[attribute].as_str(), "{header}");
    }

    // What it says is so.
    let data = &event["data"];
    assert_eq!(data["locatorId"], asset.locator.as_str());
    assert_eq!(data["correlation"]["cmsId"], "4711");
    assert_eq!(data["attempts"], 1);
    assert_urls_play(data).await?;
    assert_eq!(differing_parts(data)?, 3, "three protocols");
    let replica = data["asset"]["replicaId"].as_str().context("no replica id")?;
    let east = world.site("east");
    let twin = east.locators(replica);
    assert_eq!(twin.iter().map(|locator| locator.uuid.as_str()).collect::<Vec<_>>(), [asset.locator.as_str()]);
    let origin = world.site("west").locators(&asset.id).remove(0);
    assert_eq!((twin[0].start, twin[0].expires), (origin.start, origin.expires), "same validity");
    assert_files_described_alike(&world, &asset, replica);
    Ok(())
}

#[tokio::test]
async fn both_containers_are_identical_but_for_one_key_of_ours() -> Result<()> {
    let world = World::start().await?;
    let _worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    let west = world.storage("west")?;
    let container = container_of(&world, "west", &asset.id)?;
    let options = PutOptions {
        content_type: Some("text/x-odd; charset=utf-16".into()),
        cache_control: Some("max-age=31".into()),
        content_encoding: Some("gzip".into()),
        content_language: Some("sv-SE".into()),
        content_disposition: Some("attachment; filename=\"x\"".into()),
        metadata: BTreeMap::from([("cms".to_owned(), "4711".to_owned())]),
        ..PutOptions::default()
    };
    for (name, body) in
        [("empty.bin", ""), ("Zoë 1 % + #.txt", "zoë"), ("fragments/video/0 1", "nested"), ("data.json", "{}")]
    {
        west.put(&container, name, body.to_owned(), options.clone()).await?;
    }
    west.snapshot(&container, "data.json").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await?;
    let replica = event["data"]["asset"]["replicaId"].as_str().context("no replica id")?;

    let ours = west.list(&container).await?.context("no source container")?;
    let theirs =
        world.storage("east")?.list(&container_of(&world, "east", replica)?).await?.context("no replica container")?;
    assert_eq!(ours.len(), 10, "six media files and four more");
    assert_eq!(event["data"]["content"]["files"], 10, "a snapshot is no file");
    assert!(theirs.iter().all(|blob| blob.metadata.contains_key(OUR_KEY)), "our key is on every copy");
    assert_eq!(comparable(theirs), comparable(ours));
    Ok(())
}

#[tokio::test]
async fn access_policies_are_made_once_and_shared_by_all_assets() -> Result<()> {
    let world = World::start().await?;
    let _worker = world.worker().await?;
    let mut events = world.events().await?;
    let mut policies = Vec::new();
    for name in ["first", "second", "third"] {
        // Without a locator at the source, so that both sites need a policy.
        let west = world.site("west");
        let id = west.create_asset(name, 0).await?;
        west.upload(&id, &crate::support::media()?).await?;
        world.send_finished(&id).await?;
        next_event(&mut events).await?;
        policies.push((west.access_policies().len(), world.site("east").access_policies().len()));
    }
    assert_eq!(policies, [(1, 1), (1, 1), (1, 1)]);
    Ok(())
}

#[tokio::test]
async fn a_source_without_locator_is_published_for_thirty_days_from_five_minutes_ago() -> Result<()> {
    let world = World::start().await?;
    let _worker = world.worker().await?;
    let mut events = world.events().await?;
    let west = world.site("west");
    let id = west.create_asset("unpublished", 0).await?;
    west.upload(&id, &crate::support::media()?).await?;
    let before = time::OffsetDateTime::now_utc();
    world.send_finished(&id).await?;
    let event = next_event(&mut events).await?;
    let locators = west.locators(&id);
    assert_eq!(locators.len(), 1);
    let (start, expires) = (locators[0].start.context("no start")?, locators[0].expires.context("no expiry")?);
    assert_eq!(expires - start, time::Duration::days(30));
    let ago = before - start;
    assert!(ago > time::Duration::minutes(4) && ago <= time::Duration::minutes(5), "start {ago} ago");
    assert_eq!(event["data"]["locatorId"], locators[0].uuid.as_str());
    Ok(())
}

/// Every URL of the event answers 200, and the files behind both sites are byte for byte the same.
async fn assert_urls_play(data: &Value) -> Result<()> {
    let client = reqwest::Client::new();
    for url in data["urls"].as_array().context("no urls")? {
        let mut bodies = Vec::new();
        for site in ["source", "replica"] {
            let answer = client.get(url[site].as_str().context("no url")?).send().await?;
            assert_eq!(answer.status(), 200, "{url}");
            bodies.push(answer.bytes().await?);
        }
        assert_eq!(bodies[0], bodies[1], "{url}");
    }
    for file in crate::support::media()?.iter().filter(|file| file.name.ends_with(".mp4")) {
        for site in data["sites"].as_array().context("no sites")? {
            let part = |name: &str| site[name].to_string().replace('"', "");
            let prefix = data["pathPrefix"].as_str().context("no prefix")?;
            let url = format!(
                "{}://{}:{}{}{prefix}{}",
                part("scheme"),
                part("host"),
                part("port"),
                part("basePath"),
                file.name
            );
            assert_eq!(client.get(&url).send().await?.bytes().await?, file.bytes, "{url}");
        }
    }
    Ok(())
}

/// Checks that the two URLs of every protocol differ in scheme, host and port only; says how many protocols there are.
fn differing_parts(data: &Value) -> Result<usize> {
    let urls = data["urls"].as_array().context("no urls")?;
    for url in urls {
        let source = Url::parse(url["source"].as_str().context("no source url")?)?;
        let mut replica = Url::parse(url["replica"].as_str().context("no replica url")?)?;
        assert_ne!(source, replica);
        assert_eq!(source.path(), url["path"].as_str().context("no path")?);
        replica.set_port(source.port()).ok().context("no port")?;
        replica.set_host(source.host_str())?;
        assert_eq!(source, replica);
    }
    Ok(urls.len())
}

fn assert_files_described_alike(world: &World, asset: &Published, replica: &str) {
    let source = described_files(world, "west", &asset.id);
    assert_eq!(source.iter().filter(|file| file.is_primary).count(), 1, "one primary file");
    assert_eq!(described_files(world, "east", replica), source);
}
