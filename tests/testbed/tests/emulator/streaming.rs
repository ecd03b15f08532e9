//! The streaming endpoint: manifests of every protocol, progressive files, and when it refuses.

use std::time::Duration;

use anyhow::{Result, ensure};
use testbed::emulator::{Emulator, Lag, PreparedFile, Set};
use testbed::storage::PutOptions;
use time::OffsetDateTime;

use crate::support::{Answer, clip, fetch, http, start};

const HOUR: Duration = Duration::from_secs(3600);

async fn published(emulator: &Emulator, files: &[PreparedFile]) -> Result<(String, String)> {
    let west = emulator.account("west");
    let asset = west.create_asset("a", 0).await?;
    west.upload(&asset, files).await?;
    let locator = west.publish(&asset, None, None, HOUR)?;
    Ok((asset, locator.path))
}

async fn get(url: &str) -> Result<Answer> {
    fetch(http()?.get(url)).await
}

#[tokio::test]
async fn speaks_smooth_hls_and_dash() -> Result<()> {
    let emulator = start().await?;
    let (_, path) = published(&emulator, &clip()).await?;
    for name in ["manifest", "Manifest", "manifest(format=fmp4-v20)"] {
        let smooth = get(&format!("{path}clip.ism/{name}")).await?;
        ensure!(smooth.status == 200 && smooth.header("content-type") == "text/xml", "{name}: {smooth:?}");
        let document = roxmltree::Document::parse(&smooth.text)?;
        ensure!(document.descendants().filter(|node| node.has_tag_name("QualityLevel")).count() == 3);
    }
    for format in ["m3u8-aapl", "m3u8-aapl-v3", "m3u8-cmaf"] {
        let hls = get(&format!("{path}clip.ism/manifest(format={format})")).await?;
        ensure!(
            hls.header("content-type") == "application/vnd.apple.mpegurl" && hls.text.starts_with("#EXTM3U\n"),
            "{hls:?}"
        );
        ensure!(hls.text.matches("#EXT-X-STREAM-INF:").count() == 2, "{}", hls.text);
        let uri = format!("QualityLevels(300000)/Manifest(video,format={format})");
        ensure!(hls.text.lines().any(|line| line == uri), "{}", hls.text);
        let media = get(&format!("{path}clip.ism/{uri}")).await?;
        ensure!(media.text.ends_with("#EXT-X-ENDLIST\n"), "{media:?}");
        let segment = media.text.lines().find(|line| line.starts_with("Fragments(")).unwrap_or_default();
        let segment = get(&format!("{path}clip.ism/QualityLevels(300000)/{segment}")).await?;
        ensure!(segment.status == 200 && segment.text == "abcdefghij".repeat(2), "{segment:?}");
    }
    for format in ["mpd-time-csf", "mpd-time-cmaf"] {
        let dash = get(&format!("{path}clip.ism/manifest(format={format})")).await?;
        ensure!(dash.header("content-type") == "application/dash+xml", "{dash:?}");
        let document = roxmltree::Document::parse(&dash.text)?;
        ensure!(document.root_element().has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "MPD")));
        ensure!(!dash.text.contains("127.0.0.1"), "an absolute URL");
    }
    ensure!(get(&format!("{path}clip.ism/manifest(format=wav)")).await?.status == 400);
    Ok(())
}

#[tokio::test]
async fn serves_the_real_media_set() -> Result<()> {
    let emulator = start().await?;
    let media = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/media");
    let files = PreparedFile::load_directory(&media)?;
    let (asset, path) = published(&emulator, &files).await?;
    let primary: Vec<_> = emulator.account("west").files(&asset).into_iter().filter(|file| file.is_primary).collect();
    ensure!(primary.len() == 1 && primary[0].name == "movie.ism", "{primary:?}");
    let smooth = get(&format!("{path}movie.ism/manifest")).await?;
    let ismc = std::fs::read_to_string(media.join("movie.ismc"))?;
    ensure!(smooth.text.trim() == ismc.trim_start_matches('\u{feff}').trim(), "the asset's own client manifest");
    let audio = get(&format!("{path}movie.ism/QualityLevels(32114)/Manifest(audio,format=m3u8-aapl)")).await?;
    ensure!(audio.text.contains("Fragments(audio=20053333,"), "{audio:?}");
    let dash = get(&format!("{path}movie.ism/manifest(format=mpd-time-csf)")).await?;
    ensure!(dash.text.contains("PT4.000S"), "{}", dash.text);
    Ok(())
}

#[tokio::test]
async fn serves_files_whole_and_in_ranges() -> Result<()> {
    let emulator = start().await?;
    let (_, path) = published(&emulator, &clip()).await?;
    let http = http()?;
    let url = format!("{path}clip_320x180_100.mp4");
    let whole = get(&url).await?;
    ensure!(whole.status == 200 && whole.text.len() == 100 && whole.header("content-type") == "video/mp4", "{whole:?}");
    let head = fetch(http.head(&url)).await?;
    ensure!(head.status == 200 && head.header("content-length") == "100" && head.text.is_empty(), "{head:?}");
    let part = fetch(http.get(&url).header("Range", "bytes=8-11")).await?;
    ensure!(part.status == 206 && part.text == "8901" && part.header("content-range") == "bytes 8-11/100", "{part:?}");
    let tail = fetch(http.get(&url).header("Range", "bytes=-3")).await?;
    ensure!(tail.text == "789", "{tail:?}");
    ensure!(fetch(http.get(&url).header("Range", "bytes=100-")).await?.status == 416);
    ensure!(get(&format!("{path}clip.ism")).await?.status == 404, "a server manifest is not for download");
    ensure!(get(&format!("{path}nothing.mp4")).await?.status == 404);
    Ok(())
}

#[tokio::test]
async fn refuses_what_cannot_play() -> Result<()> {
    let emulator = start().await?;
    let west = emulator.account("west");
    let (asset, path) = published(&emulator, &clip()).await?;
    let manifest = format!("{path}clip.ism/manifest(format=m3u8-aapl)");
    let status = async || -> Result<u16> { Ok(get(&manifest).await?.status) };
    ensure!(status().await? == 200);

    west.stop_endpoint()?;
    ensure!(status().await? == 404, "a stopped endpoint");
    west.start_endpoint()?;
    west.set_scale_units(0)?;
    ensure!(status().await? == 404, "a classic endpoint without units");
    west.set_scale_units(1)?;
    ensure!(status().await? == 200);

    let locator = west.locators(&asset).remove(0);
    let past = OffsetDateTime::now_utc() - time::Duration::hours(1);
    west.set(Set::Locators, &locator.id, |locator| {
        locator.set("ExpirationDateTime", past);
    })?;
    ensure!(status().await? == 410, "an expired locator");
    west.set(Set::Locators, &locator.id, |locator| {
        locator.set("ExpirationDateTime", past + 2 * HOUR);
    })?;

    let storage = west.storage()?;
    let container = west.assets()[0].container.clone();
    storage.put(&container, "clip_640x360_300.mp4", "short", PutOptions::default()).await?;
    ensure!(status().await? == 404, "a file of another size");
    storage.delete(&container, "clip_640x360_300.mp4").await?;
    ensure!(status().await? == 404, "a missing file");
    let unknown = manifest.replace(&locator.uuid, "00000000-0000-0000-0000-000000000000");
    ensure!(get(&unknown).await?.status == 404, "an unknown locator");
    let elsewhere = manifest.replace(emulator.streaming_url("west"), emulator.streaming_url("west2"));
    ensure!(get(&elsewhere).await?.status == 404, "another account's endpoint");
    Ok(())
}

#[tokio::test]
async fn a_new_locator_may_not_stream_yet() -> Result<()> {
    let emulator = start().await?;
    emulator.account("west").switch(|switches| switches.locator_stream_lag = Lag::requests(2))?;
    let (_, path) = published(&emulator, &clip()).await?;
    let manifest = format!("{path}clip.ism/manifest");
    let statuses = [get(&manifest).await?.status, get(&manifest).await?.status, get(&manifest).await?.status];
    ensure!(statuses == [404, 404, 200], "{statuses:?}");
    Ok(())
}
