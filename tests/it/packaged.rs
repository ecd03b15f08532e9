//! Packaged streams straight from blob storage: replicated, played and announced, however they are packaged.

pub mod films;
mod odd;
mod order;
mod segments;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::process::{ACCOUNTS, Azurite};
use testbed::storage::{PutOptions, Storage};

use self::films::{Film, StaticWorld};
use crate::support::{eventually, next_event, run_once};

#[tokio::test]
async fn a_film_is_playable_from_the_other_site_at_the_same_path() -> Result<()> {
    let world = StaticWorld::start().await?;
    let film = Film::new("films/holiday/").with_hls(&["high", "low"], 9).with_dash(9);
    world.upload("west", &film).await?;
    let (worker, mut events) = (world.worker().await?, world.events().await?);
    world.send_finished("west", &film).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    let data = &event["data"];
    let container = &world.container;
    assert_eq!(data["asset"]["id"], format!("{container}/films/holiday/"));
    assert_eq!(data["asset"]["name"], "holiday");
    assert_eq!(data["asset"]["location"], json!({ "container": container, "prefix": "films/holiday/" }));
    assert_eq!((&data["locatorId"], &data["validity"]), (&Value::Null, &json!({ "from": null, "until": null })));
    assert_eq!(data["pathPrefix"], format!("/{container}/films/holiday/"));
    assert_eq!(data["relativePath"], format!("/{container}/films/holiday/master.m3u8"));
    assert_eq!(data["sites"][1]["kind"], "static-origin");
    let protocols: Vec<_> = data["urls"].as_array().context("no urls")?.iter().map(|url| &url["protocol"]).collect();
    assert_eq!(protocols, ["hls", "dash"], "what players begin with, and nothing else");
    for url in data["urls"].as_array().context("no urls")? {
        for site in ["source", "replica"] {
            let answer = reqwest::get(url[site].as_str().context("no address")?).await?;
            ensure!(answer.status() == 200, "{url}: {}", answer.status());
            let body = answer.text().await?;
            ensure!(body.starts_with("#EXTM3U") || body.contains("<MPD"), "{body}");
        }
        assert!(url["source"].as_str() != url["replica"].as_str());
    }
    let verification = &data["verification"];
    assert_eq!((&verification["level"], &verification["segments"]), (&json!("playback"), &json!("sample")));
    // two playlists with three segments each, and those of the two representations in the MPD, once for each manifest
    assert_eq!(verification["checked"], 2 + 6 + 6, "{verification}");
    assert_eq!((&verification["sameCors"], &verification["sameStorageCors"]), (&json!(true), &json!(true)));
    assert_eq!(verification["manifests"].as_array().map(Vec::len), Some(4));
    assert_eq!(world.listing("west").await?, world.listing("east").await?);
    // said again, nothing is copied, and subscribers can tell that it is no news
    world.send_finished("west", &film).await?;
    let again = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((&again["id"], &again["data"]["copy"]["copiedFiles"]), (&event["id"], &json!(0)));
    Ok(())
}

#[tokio::test]
async fn what_lies_beside_a_film_stays_where_it_is() -> Result<()> {
    let world = StaticWorld::start().await?;
    let (film, other) = (Film::new("a/").with_hls(&["v"], 3), Film::new("ab/").with_hls(&["v"], 3));
    world.upload("west", &film).await?;
    world.upload("west", &other).await?;
    // a film of the other site, in the container that both have
    world.upload("east", &Film::new("east-only/").with_dash(2)).await?;
    world.replicate("a").await?;
    let east = world.listing("east").await?;
    assert!(east.iter().all(|(name, ..)| name.starts_with("a/") || name.starts_with("east-only/")), "{east:?}");
    assert_eq!(east.iter().filter(|(name, ..)| name.starts_with("a/")).count(), film.files().len());
    Ok(())
}

#[tokio::test]
async fn a_container_is_made_after_its_source() -> Result<()> {
    let world = StaticWorld::start().await?;
    world.upload("west", &Film::new("").with_hls(&["v"], 3)).await?;
    let event = world.replicate("").await?;
    assert_eq!(event["data"]["asset"]["location"], json!({ "container": world.container }));
    assert_eq!(event["data"]["pathPrefix"], format!("/{}/", world.container));
    let properties = world.storage("east")?.container_properties(&world.container).await?.context("no container")?;
    assert_eq!(properties.get("x-ms-blob-public-access").map(String::as_str), Some("blob"));
    assert_eq!(properties.get("x-ms-meta-stream_replicator_replica_of").map(String::as_str), Some("west"));
    Ok(())
}

#[tokio::test]
async fn a_container_that_others_may_read_than_the_sources_is_refused() -> Result<()> {
    let world = StaticWorld::start().await?;
    world.upload("west", &Film::new("").with_hls(&["v"], 3)).await?;
    world.storage("east")?.create_container(&world.container).await?;
    let refused = world.refused("").await?;
    assert!(refused.contains("container-access-differs") && refused.contains("by nobody at the replica"), "{refused}");
    assert_eq!(world.listing("east").await?, []);
    Ok(())
}

#[tokio::test]
async fn a_film_without_manifests_is_played_as_it_is() -> Result<()> {
    let world = StaticWorld::start().await?;
    let storage = world.storage("west")?;
    world.make_container("west").await?;
    let mp4 = PutOptions { content_type: Some("video/mp4".into()), ..PutOptions::default() };
    storage.put(&world.container, "clips/one two.mp4", "film", mp4).await?;
    storage.put(&world.container, "clips/poster.jpg", "picture", PutOptions::default()).await?;
    let event = world.replicate("clips").await?;
    let urls = event["data"]["urls"].as_array().context("no urls")?;
    assert_eq!(urls.len(), 1);
    assert_eq!(
        (&urls[0]["protocol"], &urls[0]["path"]),
        (&json!("progressive"), &json!(format!("/{}/clips/one%20two.mp4", world.container)))
    );
    assert_eq!(event["data"]["verification"]["level"], "playback");
    Ok(())
}

#[tokio::test]
async fn our_own_replica_goes_no_further() -> Result<()> {
    let world = StaticWorld::both_ways().await?;
    let film = Film::new("films/holiday/").with_hls(&["v"], 5);
    world.upload("west", &film).await?;
    let (worker, mut events) = (world.worker().await?, world.events().await?);
    world.send_finished("west", &film).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    // the replica's event, fed back in as if it had been encoded there
    let data = json!({ "site": "east", "asset": { "location": event["data"]["asset"]["location"] } });
    world.send(data).await?;
    worker.logs("own-replica").await?;
    assert_eq!(world.listing("west").await?, world.listing("east").await?);
    // encoded anew at east, where the encoder has moved to after an outage: that is news for west
    let newer = Film::new("films/holiday/").with_hls(&["v"], 7);
    world.upload("east", &newer).await?;
    world.send_finished("east", &newer).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!(event["source"], "/stream-replicator/east/west", "{event:#}");
    assert_eq!(world.listing("west").await?, world.listing("east").await?);
    Ok(())
}

#[tokio::test]
async fn different_rules_for_browsers_are_told_in_the_event_and_by_check() -> Result<()> {
    let world = StaticWorld::start().await?;
    let output = run_once(&world.config(), &["check"]).await?;
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("west>east") && text.contains("same CORS rules (0)"), "{text}");

    // accounts of this story's own: all others share theirs
    let azurite = Azurite::start(&ACCOUNTS).await?;
    let account = |site: &str| {
        let key = ACCOUNTS.iter().find(|(name, _)| *name == site).map(|(_, key)| *key);
        Storage::new(azurite.endpoint().join(site)?, site, key.context("no such account")?)
    };
    let (west, east) = (account("west")?, account("east")?);
    world.write_config("", azurite.endpoint())?;
    west.create_public_container(&world.container).await?;
    let mp4 = PutOptions { content_type: Some("video/mp4".into()), ..PutOptions::default() };
    west.put(&world.container, "film.mp4", "film", mp4).await?;
    west.set_cors(Some("https://player.example")).await?;
    let event = world.replicate("").await?;
    let verification = &event["data"]["verification"];
    assert_eq!((&verification["sameCors"], &verification["sameStorageCors"]), (&json!(false), &json!(false)));
    let output = run_once(&world.config(), &["check"]).await?;
    let text = String::from_utf8(output.stdout)?;
    assert!(text.contains("CORS rules differ") && text.contains("at east: none"), "{text}");
    assert!(text.contains("origins https://player.example"), "{text}");
    east.set_cors(Some("https://player.example")).await?;
    let verification = &world.replicate("").await?["data"]["verification"];
    assert_eq!((&verification["sameCors"], &verification["sameStorageCors"]), (&json!(true), &json!(true)));
    Ok(())
}

#[tokio::test]
async fn a_message_for_another_kind_of_site_says_what_to_send() -> Result<()> {
    let world = StaticWorld::start().await?;
    let worker = world.worker().await?;
    let asset = json!({ "id": "nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21" });
    world.send(json!({ "site": "west", "asset": asset })).await?;
    let letter = eventually("a dead letter", || world.amqp.take("replication.dead")).await;
    let letter = letter.with_context(|| worker.log())?;
    assert!(letter.headers["x-replication-code"].contains("asset-reference-unsupported"), "{:?}", letter.headers);
    world.send(json!({ "site": "west", "asset": { "location": { "container": "NO" } } })).await?;
    eventually("a parked message", || world.amqp.take("replication.parked")).await.with_context(|| worker.log())?;
    assert!(worker.log().contains("wrong-location"), "{}", worker.log());
    Ok(())
}
