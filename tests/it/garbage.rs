//! What others write, damaged at random: every parser says what is wrong with it, quickly, and none ends the program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use stream_replicator::events::{Incoming, parse};
use stream_replicator::manifests::Manifest;

use crate::faults::seed;

/// How many damaged inputs each parser gets in every run; `--full` gives it as many as a night of mistakes.
const FEW: usize = 2_000;
/// Longer than any of these takes, on a machine that does other things too.
const SLOWEST: Duration = Duration::from_secs(20);
/// What is put in where something was: what parsers stumble over.
const SPLINTERS: [&str; 30] = [
    "\"",
    "'",
    "<",
    ">",
    "&",
    "&#0;",
    "]]>",
    "<!--",
    "<![CDATA[",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\\u0000",
    "\u{feff}",
    "\r",
    "\n",
    "\0",
    "$",
    "$Number%099d$",
    "-1",
    "0",
    "18446744073709551616",
    "1e308",
    "NaN",
    "#EXT",
    "../",
    "é",
];
const MASTER: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\",URI=\"a.m3u8\"\n\
    #EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS=\"avc1.4d401f\",RESOLUTION=640x360,FRAME-RATE=25.000\n360/index.m3u8\n\
    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,URI=\"i.m3u8\"\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"\n";
const MEDIA: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:7\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"7@0\"\n\
    #EXT-X-KEY:METHOD=AES-128,URI=\"1.key\",IV=0x01\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T10:00:00.000Z\n\
    #EXT-X-DATERANGE:ID=\"x\",START-DATE=\"2026-11-21T10:00:00Z\",DURATION=3.5,X-A=\"b\"\n#EXTINF:6.006,title\na.ts\n\
    #EXTINF:6.006,\n#EXT-X-BYTERANGE:10@0\nb.ts\n#EXT-X-PART:DURATION=0.3,URI=\"p.mp4\"\n#EXT-X-ENDLIST\n";
const MPD: &str = "<?xml version=\"1.0\"?><MPD type=\"static\" mediaPresentationDuration=\"PT1M25.5S\"><BaseURL>x/</BaseURL>\
    <Period start=\"PT0S\"><AdaptationSet><ContentProtection schemeIdUri=\"urn:x\"/><SegmentTemplate timescale=\"1000\" \
    initialization=\"i-$RepresentationID$.m4s\" media=\"c-$RepresentationID$-$Number%05d$.m4s\" startNumber=\"1\"><SegmentTimeline>\
    <S t=\"0\" d=\"10000\" r=\"1\"/><S d=\"5000\" r=\"-1\"/></SegmentTimeline></SegmentTemplate><Representation id=\"v0\" \
    bandwidth=\"2000000\" width=\"1280\" height=\"720\"/></AdaptationSet><AdaptationSet><SegmentTemplate timescale=\"48000\" \
    duration=\"480000\" media=\"a/$Time$.m4s\"/><Representation id=\"a0\"/></AdaptationSet></Period></MPD>";

const SMOOTH: &str = "<?xml version=\"1.0\"?><SmoothStreamingMedia MajorVersion=\"2\" Duration=\"60000000\" TimeScale=\"10000000\">\
    <StreamIndex Type=\"video\" Chunks=\"3\" Url=\"QualityLevels({bitrate})/Fragments(video={start time})\">\
    <QualityLevel Index=\"0\" Bitrate=\"800000\" FourCC=\"H264\" MaxWidth=\"640\" MaxHeight=\"360\" CodecPrivateData=\"00ff\"/>\
    <c d=\"20000000\" r=\"2\"/><c t=\"50000000\" d=\"10000000\"/></StreamIndex><Protection>\
    <ProtectionHeader SystemID=\"9A04F079-9840-4286-AB92-E65BE0885F95\">AA==</ProtectionHeader></Protection></SmoothStreamingMedia>";

/// Damages a text in some places: letters changed, parts taken out, doubled or moved, splinters put in.
fn damaged(text: &str, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.random_range(1..8) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        let end = (at + random.random_range(1..40)).min(bytes.len());
        match random.random_range(0..7) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let part = bytes[at..end].to_vec();
                let to = random.random_range(0..bytes.len());
                bytes.splice(to..to, part);
            }
            5 => {
                let part = bytes[at..end].repeat(random.random_range(1..200));
                bytes.splice(at..end, part);
            }
            _ => {
                let splinter = SPLINTERS[random.random_range(0..SPLINTERS.len())];
                bytes.splice(at..at, splinter.bytes());
            }
        }
    }
    bytes
}

/// Lets `parse` take so many damaged inputs made of these texts.
fn endure(times: usize, texts: &[String], take: impl Fn(usize, &[u8])) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut slowest = (Duration::ZERO, Vec::new());
    for number in 0..times {
        let which = number % texts.len();
        let bytes = damaged(&texts[which], &mut random);
        let begun = Instant::now();
        let taken = catch_unwind(AssertUnwindSafe(|| take(which, &bytes)));
        let text = || String::from_utf8_lossy(&bytes);
        assert!(taken.is_ok(), "seed {seed}, number {number}: it panics at {}", text());
        slowest = slowest.max((begun.elapsed(), bytes));
    }
    assert!(slowest.0 < SLOWEST, "seed {seed}: {:?} for {}", slowest.0, String::from_utf8_lossy(&slowest.1));
}

fn manifests(times: usize) {
    let names = ["master.m3u8", "media.m3u8", "stream.mpd", "film.ism/manifest"];
    let types = [None, None, None, Some("application/vnd.ms-sstr+xml")];
    endure(times, &[MASTER, MEDIA, MPD, SMOOTH].map(str::to_owned), |which, bytes| {
        if let Ok(manifest) = Manifest::read(names[which], types[which], None, bytes.to_vec()) {
            let mut named = 0_u64;
            let _ = manifest.visit(&mut |_| named += 1);
            assert!(named <= 1_000_000, "{named} files are named");
        }
    });
}

fn messages(times: usize) {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/x", "type": "media.encoding.finished.v1", "time": "2026-11-20T10:15:30.123Z",
        "data": { "site": "west", "asset": { "id": "nb:cid:UUID:6f1c0000-0000-4000-8000-000000000000" },
            "finishedAt": "2026-11-20T10:15:29.900Z", "expected": { "files": 12, "bytes": 48 }, "correlation": { "a": "b" } }
    });
    let notification = json!({
        "MessageVersion": "1.1", "EventType": "JobStateChange", "TimeStamp": "2026-11-20T10:15:29.900Z",
        "Properties": { "JobId": "nb:jid:UUID:6f1c0000-0000-4000-8000-000000000000", "NewState": "Finished", "OldState": "Processing" }
    });
    let texts = [event.to_string(), event["data"].to_string(), notification.to_string()];
    endure(times, &texts, |_, body| {
        let incoming = Incoming { body, ..Incoming::default() };
        let _ = parse(&incoming);
    });
}

#[test]
fn damaged_manifests_are_refused_or_read() {
    manifests(FEW);
}

#[test]
fn damaged_messages_are_refused_or_read() {
    messages(FEW);
}

mod long {
    const MANY: usize = 1_000_000;

    #[test]
    fn a_million_damaged_manifests() {
        super::manifests(MANY);
    }

    #[test]
    fn a_million_damaged_messages() {
        super::messages(MANY);
    }
}
