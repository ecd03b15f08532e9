//! Assets and sites that cannot be replicated: each message ends as a dead letter that says what to do, and nothing else.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::Subscription;
use testbed::emulator::{PreparedFile, Set};
use testbed::storage::{PutKind, PutOptions};
use uuid::Uuid;

use crate::support::refusal::{Refusal, ensure_left, ensure_refused, send_all};
use crate::support::{NEIGHBOUR, World, container_of, ensure_one_replica, ensure_queues_empty, media, next_event};

/// A good asset is announced next, so nothing was announced before.
async fn ensure_nothing_announced(world: &World, events: &mut Subscription) -> Result<()> {
    let asset = world.encoded_asset("good").await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(events).await?;
    ensure!(event["data"]["asset"]["id"] == asset.id.as_str(), "announced: {event:#}");
    Ok(())
}

/// Changes which file is primary; `None`: none is.
fn set_primary(world: &World, asset_id: &str, name: Option<&str>) -> Result<()> {
    let west = world.site("west");
    for file in west.files(asset_id) {
        west.set(Set::Files, &file.id, |entity| {
            entity.set("IsPrimary", name == Some(file.name.as_str()));
        })?;
    }
    Ok(())
}

/// A published asset at `west` of these files.
async fn asset_of(world: &World, files: &[PreparedFile]) -> Result<String> {
    let west = world.site("west");
    let id = west.create_asset("movie", 0).await?;
    west.upload(&id, files).await?;
    west.publish(&id, None, None, std::time::Duration::from_secs(86_400))?;
    Ok(id)
}

/// The test media with a second server manifest.
fn with_two_manifests() -> Result<Vec<PreparedFile>> {
    let mut files = media()?;
    let first = files.iter().find(|file| file.name == "movie.ism").context("no .ism")?;
    files.push(PreparedFile::new("second.ism", first.bytes.clone()));
    Ok(files)
}

/// Messages that name nothing this kind of site has.
fn missing_things() -> Vec<Refusal> {
    let by = |code, asset: Value| Refusal {
        data: json!({ "site": "west", "asset": asset }),
        ..Refusal::new(code, "resolve", "")
    };
    let guid = Uuid::new_v4();
    vec![
        Refusal::of_source_asset("asset-gone", &format!("nb:cid:UUID:{guid}")),
        by("encoding-job-gone", json!({ "job": { "id": format!("nb:jid:UUID:{guid}") } })),
        by("asset-reference-unsupported", json!({ "name": "movie" })),
        by("asset-reference-unsupported", json!({ "location": { "container": "movies" } })),
    ]
}

async fn protected_assets(world: &World) -> Result<Vec<Refusal>> {
    let west = world.site("west");
    let mut refusals = Vec::new();
    for (options, code) in
        [(1, "asset-storage-encrypted"), (2, "asset-common-encrypted"), (4, "asset-envelope-encrypted")]
    {
        let id = west.create_asset("encrypted", options).await?;
        west.upload(&id, &media()?).await?;
        refusals.push(Refusal::of_source_asset(code, &id));
    }
    let id = asset_of(world, &media()?).await?;
    west.add_delivery_policy(&id, 2)?;
    refusals.push(Refusal::of_source_asset("asset-has-delivery-policies", &id));
    let id = asset_of(world, &media()?).await?;
    west.add_content_key(&id)?;
    refusals.push(Refusal::of_source_asset("asset-has-content-keys", &id));
    let id = asset_of(world, &media()?).await?;
    let file = west.files(&id).pop().context("no files")?;
    west.set(Set::Files, &file.id, |file| {
        file.set("IsEncrypted", true);
    })?;
    refusals.push(Refusal::of_source_asset("file-encrypted", &id));
    Ok(refusals)
}

async fn assets_that_do_not_stream(world: &World) -> Result<Vec<Refusal>> {
    let west = world.storage("west")?;
    let without: Vec<_> = media()?.into_iter().filter(|file| file.name != "movie.ism").collect();
    let no_manifest = asset_of(world, &without).await?;
    let ambiguous = asset_of(world, &with_two_manifests()?).await?;
    set_primary(world, &ambiguous, Some("movie_320x180_100.mp4"))?;
    let mut refusals = vec![
        Refusal::of_source_asset("manifest-missing", &no_manifest),
        Refusal::of_source_asset("manifest-ambiguous", &ambiguous),
        Refusal::new("source-not-published", "ensure_source_locator", &world.unpublished_asset("secret").await?),
    ];
    for kind in [PutKind::Page, PutKind::Append] {
        let id = asset_of(world, &media()?).await?;
        let options = PutOptions { blob_type: kind, ..PutOptions::default() };
        west.put(&container_of(world, "west", &id)?, "odd.mp4", vec![7_u8; 512], options).await?;
        refusals.push(Refusal::of_source_asset("blob-kind-unsupported", &id));
    }
    let id = asset_of(world, &media()?).await?;
    west.delete(&container_of(world, "west", &id)?, "movie.ism").await?;
    refusals.push(Refusal::of_source_asset("manifest-blob-missing", &id));
    Ok(refusals)
}

#[tokio::test]
async fn what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do() -> Result<()> {
    let world = World::start().await?;
    world.write_config(&["west", "east"], "[replication]\ncreate_source_locator = false\n")?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let mut refusals = protected_assets(&world).await?;
    refusals.extend(assets_that_do_not_stream(&world).await?);
    refusals.extend(missing_things());
    let at_source = || (world.site("west").entities(Set::Locators).len(), world.site("west").access_policies().len());
    let before = at_source();

    let sent = send_all(&world, refusals).await?;
    let refused = ensure_refused(&world, &mut events, sent).await.with_context(|| worker.log())?;
    for refusal in &refused {
        ensure_left(&world, refusal).await?;
    }
    let east = world.site("east");
    assert_eq!((east.access_policies().len(), east.entities(Set::Locators).len()), (0, 0), "published at the replica");
    assert_eq!(at_source(), before, "published at the source");
    ensure_nothing_announced(&world, &mut events).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

/// Makes the replica asset as a worker would that was stopped right after that, and gives its id.
async fn begin_replica(world: &World, asset_id: &str) -> Result<String> {
    let east = world.site("east");
    let id = east.create_asset("movie", 0).await?;
    east.set_asset(&id, |asset| {
        asset.set("AlternateId", format!("stream-replicator/1 west {asset_id}\n"));
    })?;
    Ok(id)
}

#[tokio::test]
async fn a_replica_that_cannot_be_published_is_left_unpublished() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let (east, day) = (world.site("east"), std::time::Duration::from_secs(86_400));

    // Its locator id belongs to another asset of the same account, then to another account of the same data centre.
    let taken = world.encoded_asset("taken").await?;
    let other = east.create_asset("other", 0).await?;
    east.publish(&other, Some(taken.locator.parse()?), None, day)?;
    let taken_next_door = world.encoded_asset("taken next door").await?;
    let neighbour = world.site(NEIGHBOUR);
    let theirs = neighbour.create_asset("theirs", 0).await?;
    neighbour.publish(&theirs, Some(taken_next_door.locator.parse()?), None, day)?;
    // Somebody shares the replica in as many ways as it can be.
    let full = world.encoded_asset("full").await?;
    let begun = begin_replica(&world, &full.id).await?;
    for _ in 0..5 {
        let locator = east.publish(&begun, None, None, day)?;
        east.set(Set::Locators, &locator.id, |locator| {
            locator.set("Type", 1);
        })?;
    }
    let mut over = Refusal::new("validity-over", "ensure_source_locator", &world.unpublished_asset("over").await?);
    over.data["validUntil"] = "2020-01-01T00:00:00Z".into();
    let refusals = vec![
        Refusal::of_replica_locator("locator-taken", &taken.id),
        Refusal::of_replica_locator("locator-taken-by-other-account", &taken_next_door.id),
        Refusal::of_replica_locator("too-many-locators", &full.id),
        over,
    ];

    let sent = send_all(&world, refusals).await?;
    for refusal in ensure_refused(&world, &mut events, sent).await.with_context(|| worker.log())? {
        ensure_left(&world, &refusal).await?;
    }
    let ours = |site: &str| {
        let policies = world.site(site).access_policies();
        policies.into_iter().filter(|policy| policy.name.starts_with("stream-replicator")).count()
    };
    assert_eq!(ours("west"), 0, "nothing was to be published at the source");
    assert!(ours("east") <= 1, "one policy that all replicas share");
    assert_eq!(east.locators(&other).len(), 1, "somebody else's locator was touched");
    assert_eq!(neighbour.locators(&theirs).len(), 1, "somebody else's locator was touched");
    ensure_nothing_announced(&world, &mut events).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn a_site_that_cannot_stream_is_named_and_the_replayed_message_succeeds_once_it_can() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let asset = world.encoded_asset("movie").await?;
    let (west, east) = (world.site("west"), world.site("east"));
    let mut refused = async |code, site| {
        let refusal = Refusal { site, ..Refusal::new(code, "verify_playback", &asset.id) };
        let id = format!("{code} {site}");
        refusal.send(&world, &id).await?;
        ensure_refused(&world, &mut events, BTreeMap::from([(id, refusal)])).await.with_context(|| worker.log())
    };
    west.stop_endpoint()?;
    refused("endpoint-stopped", "west").await?;
    west.start_endpoint()?;
    east.stop_endpoint()?;
    refused("endpoint-stopped", "east").await?;
    east.start_endpoint()?;
    east.set_scale_units(0)?;
    refused("endpoint-without-units", "east").await?;
    east.set_scale_units(1)?;
    west.set_scale_units(0)?;
    refused("endpoint-without-units", "west").await?;
    west.set_scale_units(1)?;

    let replay = Refusal::new("none", "none", &asset.id);
    replay.send(&world, "again").await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((&event["data"]["asset"]["id"], &event["data"]["attempts"]), (&json!(asset.id), &json!(1)));
    ensure_one_replica(&world, &asset.id).await?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}

#[tokio::test]
async fn the_primary_manifest_decides_and_the_only_one_needs_no_mark() -> Result<()> {
    let world = World::start().await?;
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    let second = asset_of(&world, &with_two_manifests()?).await?;
    // The one that the service lists last: the first would be right by chance.
    let manifests = world.site("west").files(&second).into_iter().filter(|file| file.name.ends_with(".ism"));
    let listed_last = manifests.max_by(|a, b| a.id.cmp(&b.id)).context("no .ism")?.name;
    let listed_last = if listed_last == "second.ism" { "second.ism" } else { "movie.ism" };
    set_primary(&world, &second, Some(listed_last))?;
    let mp4 = asset_of(&world, &media()?).await?;
    set_primary(&world, &mp4, Some("movie_320x180_100.mp4"))?;
    let unmarked = asset_of(&world, &media()?).await?;
    set_primary(&world, &unmarked, None)?;
    let mut files = media()?;
    for file in files.iter_mut().filter(|file| file.name == "movie.ism") {
        file.name = "MOVIE.ISM".to_owned();
    }
    let upper_case = asset_of(&world, &files).await?;

    let mut wanted = BTreeMap::from([
        (second, (listed_last, listed_last)),
        (mp4, ("movie.ism", "movie_320x180_100.mp4")),
        (unmarked, ("movie.ism", "movie.ism")),
        (upper_case, ("MOVIE.ISM", "MOVIE.ISM")),
    ]);
    for asset_id in wanted.keys() {
        world.send_finished(asset_id).await?;
    }
    while !wanted.is_empty() {
        let event = next_event(&mut events).await.with_context(|| worker.log())?;
        let id = |name: &str| event["data"]["asset"][name].as_str().unwrap_or_default();
        let (manifest, primary) = wanted.remove(id("id")).context("announced twice, or nobody asked")?;
        let path = event["data"]["relativePath"].as_str().unwrap_or_default();
        assert!(path.ends_with(&format!("/{manifest}/manifest")), "{path} instead of {manifest}");
        let files = world.site("east").files(id("replicaId"));
        let marked: Vec<_> = files.iter().filter(|file| file.is_primary).map(|file| file.name.as_str()).collect();
        assert_eq!(marked, [primary], "primary file of the replica");
    }
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_queues_empty(&world).await
}
