//! Manifests as they come: each is replicated, or refused with a name for what is wrong.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use testbed::amqp::Outgoing;
use testbed::storage::{PutKind, PutOptions};

use super::films::{Film, StaticWorld, mpd, playlist};
use crate::support::{eventually, next_event};

const HLS: &str = "application/vnd.apple.mpegurl";
const DASH: &str = "application/dash+xml";
/// What all of these together may have in memory, in KiB: the largest alone is unpacked to 64 MiB before it is given up.
const MOST_MEMORY_KIB: u64 = 250 * 1024;

fn film(name: &str) -> Film {
    Film::new(&format!("{name}/")).with_hls(&["v"], 3)
}

fn with_media(name: &str, text: &str) -> Film {
    film(name).with("v/index.m3u8", HLS, text)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn gzipped(content_type: &str) -> PutOptions {
    PutOptions {
        content_type: Some(content_type.into()),
        content_encoding: Some("gzip".into()),
        ..PutOptions::default()
    }
}

/// 10 MB that name one file 220,000 times.
fn long_playlist() -> String {
    let mut text = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n".to_owned();
    for number in 0..220_000 {
        let _ = writeln!(text, "#EXTINF:2,\n#EXT-X-BYTERANGE:1@{number:07}\n00000.m4s");
    }
    text + "#EXT-X-ENDLIST\n"
}

/// A playlist that only the one who names it tells to be one.
fn odd_name(name: &str, segments: usize) -> Film {
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nv/index\n";
    film(name).without("v/index.m3u8").with("master.m3u8", HLS, master).with(
        "v/index",
        "application/octet-stream",
        playlist(segments),
    )
}

/// What is in order, however it looks.
fn good() -> Vec<Film> {
    let crlf = playlist(3).replace('\n', "\r\n");
    let bom = format!("\u{feff}{}", playlist(3));
    let ranges = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n#EXT-X-BYTERANGE:4@0\n00000.m4s\n\
                  #EXTINF:2,\n#EXT-X-BYTERANGE:4\n00000.m4s\n#EXT-X-ENDLIST\n";
    let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"English\",LANGUAGE=\"en\",URI=\"subs/en.m3u8\"\n\
                  #EXT-X-STREAM-INF:BANDWIDTH=100000,SUBTITLES=\"s\"\nv/index.m3u8\n\
                  #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9000,URI=\"v/i.m3u8\"\n";
    let i_frames = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:2\n#EXT-X-I-FRAMES-ONLY\n#EXTINF:2,\n\
                    #EXT-X-BYTERANGE:2@1\n00001.m4s\n#EXT-X-ENDLIST\n";
    let subtitles = "#EXTM3U\n#EXT-X-TARGETDURATION:60\n#EXTINF:12,\nen.vtt\n#EXT-X-ENDLIST\n";
    vec![
        with_media("crlf", &crlf),
        with_media("bom", &bom),
        with_media("ranges", ranges),
        with_media("long", &long_playlist()),
        odd_name("odd-name", 3),
        film("gzip").with_options("v/index.m3u8", gzipped(HLS), gzip(playlist(3).as_bytes())),
        film("i-frames-and-subtitles")
            .with("master.m3u8", HLS, master)
            .with("v/i.m3u8", HLS, i_frames)
            .with("subs/en.m3u8", HLS, subtitles)
            .with("subs/en.vtt", "text/vtt", "WEBVTT\n"),
        Film::new("gzipped mpd ä/").with_dash(3).with_options("dash/film.mpd", gzipped(DASH), gzip(mpd(3).as_bytes())),
    ]
}

fn key(address: &str) -> String {
    playlist(3).replacen("#EXTINF", &format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{address}\"\n#EXTINF"), 1)
}

#[tokio::test]
async fn what_is_in_order_is_replicated_however_it_looks() -> Result<()> {
    let world = StaticWorld::start().await?;
    let (worker, mut events) = (world.worker().await?, world.events().await?);
    for film in good() {
        world.upload("west", &film).await?;
        world.send_finished("west", &film).await?;
        let event = next_event(&mut events).await.with_context(|| worker.log())?;
        let (data, folder) = (&event["data"], &film.folder);
        ensure!(event["type"] == "media.asset.replicated.v1", "{folder}: {event:#}");
        assert_eq!(data["verification"]["level"], "playback", "{folder}");
        assert_eq!(data["protection"]["kind"], "clear", "{folder}");
        assert_eq!(data["content"]["files"], film.files().len(), "{folder}");
    }
    assert_eq!(world.listing("west").await?, world.listing("east").await?);
    ensure!(worker.peak_memory_kib()? < MOST_MEMORY_KIB, "{} KiB", worker.peak_memory_kib()?);
    Ok(())
}

#[tokio::test]
async fn protection_is_told_and_keys_are_not() -> Result<()> {
    let world = StaticWorld::start().await?;
    let inside =
        with_media("inside", &key("../keys/1.key")).with("keys/1.key", "binary/octet-stream", "0123456789abcdef");
    world.upload("west", &inside).await?;
    let event = world.replicate("inside").await?;
    let protection = &event["data"]["protection"];
    assert_eq!(*protection, json!({ "kind": "encrypted", "keyIds": ["identity"], "licenseHosts": [] }));
    assert!(world.listing("east").await?.iter().any(|(name, ..)| name == "inside/keys/1.key"));

    world.upload("west", &with_media("outside", &key("https://keys.example/1?token=secret"))).await?;
    let event = world.replicate("outside").await?;
    let protection = &event["data"]["protection"];
    assert_eq!(*protection, json!({ "kind": "encrypted", "keyIds": ["identity"], "licenseHosts": ["keys.example"] }));
    assert!(!event.to_string().contains("token=secret"), "{event:#}");
    Ok(())
}

/// Each with its code and a part of what is said.
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad(world: &StaticWorld) -> Vec<(Film, &'static str, &'static str)> {
    let west = format!("{}west/{}", world.azurite(), world.container);
    let media = |line: &str| playlist(3).replace("00001.m4s", line);
    let bomb = "<!DOCTYPE MPD [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><MPD>&b;</MPD>";
    let huge = format!("{}\n# {}", playlist(3), "x".repeat(17 * 1024 * 1024));
    let unpacked = format!("#EXTM3U\n{}", "#\n".repeat(40 * 1024 * 1024));
    vec![
        (film("missing").without("v/00001.m4s"), "files-not-there-yet", "'missing/v/00001.m4s'"),
        (odd_name("odd-name", 4), "files-not-there-yet", "'odd-name/v/00003.m4s'"),
        (film("no-playlist").without("v/index.m3u8"), "files-not-there-yet", "'no-playlist/v/index.m3u8'"),
        (
            with_media("absolute", &media(&format!("{west}/absolute/v/00001.m4s"))),
            "manifest-points-at-source",
            "/v/00001",
        ),
        (
            with_media("secret", &media(&format!("{west}/a.m4s?sig=abc"))),
            "manifest-points-at-source",
            "relative addresses",
        ),
        (
            with_media("cdn", &media("https://cdn.example/a.m4s")),
            "manifest-points-elsewhere",
            "https://cdn.example/a.m4s",
        ),
        (with_media("root", &media("/a.m4s")), "manifest-points-elsewhere", "'/a.m4s'"),
        (with_media("above", &media("../../cdn/a.m4s")), "manifest-names-outside", "'cdn/a.m4s'"),
        (
            with_media("live", &playlist(3).replace("#EXT-X-ENDLIST\n", "")),
            "manifest-not-complete-yet",
            "EXT-X-ENDLIST",
        ),
        (with_media("nonsense", "hello"), "manifest-malformed", "#EXTM3U"),
        (with_media("variables", &media("{$base}/a.m4s")), "manifest-variables", "{$base}"),
        (Film::new("bomb/").with("film.mpd", DASH, bomb), "manifest-document-type", "document type"),
        (with_media("huge", &huge), "manifest-too-large", "bytes"),
        (
            film("unpacked").with_options("v/index.m3u8", gzipped(HLS), gzip(unpacked.as_bytes())),
            "manifest-too-large",
            "has more than",
        ),
        (
            film("packed").with("v/index.m3u8", HLS, gzip(playlist(3).as_bytes())),
            "manifest-compressed",
            "Content-Encoding",
        ),
        (
            film("brotli").with_options(
                "v/index.m3u8",
                PutOptions { content_encoding: Some("br".into()), ..gzipped(HLS) },
                playlist(3),
            ),
            "manifest-compressed",
            "'br'",
        ),
        (Film::new("text/").with("readme.txt", "text/plain", "hello"), "nothing-to-play", "no HLS, no DASH, no MP4"),
        (Film::new("nothing/"), "asset-gone", "there is no file in"),
        (
            film("page").with_options(
                "v/00001.m4s",
                PutOptions { blob_type: PutKind::Page, ..PutOptions::default() },
                vec![0; 512],
            ),
            "blob-kind-unsupported",
            "page blob",
        ),
    ]
}

#[tokio::test]
async fn what_cannot_be_played_is_refused_by_name_and_leaves_nothing() -> Result<()> {
    let world = StaticWorld::start().await?;
    // what is waited for is told of in the log; all else comes to a dead letter
    world.write_config("[worker]\nlog_format = 'text'\n", world.azurite())?;
    let worker = world.worker().await?;
    world.make_container("west").await?;
    for (film, code, told) in bad(&world) {
        world.upload("west", &film).await?;
        world.send_finished("west", &film).await?;
        let folder = &film.folder;
        if code.ends_with("-yet") {
            let said = || async {
                let log = worker.log();
                let mut lines = log.lines().filter(|line| line.contains(code) && line.contains(told));
                Ok(lines.next().map(|_| ()))
            };
            eventually(&format!("{folder}: {code} in the log"), said).await.with_context(|| worker.log())?;
            continue;
        }
        let letter = eventually(folder, || world.amqp.take("replication.dead")).await.with_context(|| worker.log())?;
        assert_eq!(letter.headers["x-replication-code"], code, "{folder}: {:?}", letter.headers);
        let header = |name: &str| letter.headers.get(name).with_context(|| format!("{folder}: {:?}", letter.headers));
        let text = format!("{} {}", header("x-replication-error")?, header("x-replication-hint")?);
        ensure!(text.contains(told), "{folder}: {text}");
        assert_eq!(header("x-replication-site")?, "west", "{folder}");
    }
    assert!(world.storage("east")?.list(&world.container).await?.is_none(), "nothing is begun for what is refused");
    ensure!(worker.peak_memory_kib()? < MOST_MEMORY_KIB, "{} KiB", worker.peak_memory_kib()?);
    assert!(!worker.log().contains("sig=abc"), "a signature is in the log");
    Ok(())
}

/// What was missing comes while it is waited for; where it never comes, that is an error after ten minutes.
#[tokio::test]
async fn what_is_late_is_waited_for() -> Result<()> {
    let world = StaticWorld::start().await?;
    let (worker, mut events) = (world.worker().await?, world.events().await?);
    let late = film("late").without("v/00002.m4s");
    world.upload("west", &late).await?;
    world.send_finished("west", &late).await?;
    worker.logs("files-not-there-yet").await?;
    world.upload("west", &film("late")).await?;
    let event = next_event(&mut events).await.with_context(|| worker.log())?;
    assert_eq!((&event["data"]["asset"]["name"], &event["data"]["attempts"]), (&json!("late"), &json!(1)));

    let never = film("never").without("v/00002.m4s");
    world.upload("west", &never).await?;
    let location = json!({ "container": world.container, "prefix": "never" });
    let body = json!({
        "specversion": "1.0", "id": "never", "source": "/packagers/test", "type": "media.encoding.finished.v1",
        "data": { "site": "west", "asset": { "location": location } },
    });
    let first_seen = time::OffsetDateTime::now_utc() - time::Duration::minutes(11);
    let first_seen = first_seen.format(&time::format_description::well_known::Rfc3339)?;
    let message = Outgoing {
        body: body.to_string().into(),
        headers: [("x-replication-first-seen".to_owned(), first_seen)].into(),
        ..Outgoing::default()
    };
    world.amqp.publish("media.events", "media.encoding.finished.test", message).await?;
    let letter = eventually("a dead letter", || world.amqp.take("replication.dead")).await;
    let letter = letter.with_context(|| worker.log())?;
    assert_eq!(letter.headers["x-replication-code"], "manifest-names-missing", "{:?}", letter.headers);
    Ok(())
}
