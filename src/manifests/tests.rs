//! Manifests as packagers write them, and as nobody should.

use super::*;

const MASTER: &str = "#EXTM3U\r
#EXT-X-VERSION:6\r
#EXT-X-INDEPENDENT-SEGMENTS\r
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"aac\",NAME=\"English\",DEFAULT=YES,URI=\"audio/en.m3u8\"\r
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subs\",NAME=\"Deutsch\",URI=\"subs/de.m3u8\"\r
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"cc\",NAME=\"CC1\",INSTREAM-ID=\"CC1\"\r
#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS=\"avc1.4d401f,mp4a.40.2\",RESOLUTION=1280x720,AUDIO=\"aac\"\r
720/index.m3u8\r
\r
#EXT-X-STREAM-INF:BANDWIDTH=800000\r
360/index.m3u8?a=b\r
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,URI=\"720/iframes.m3u8\"\r
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://key1\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\r
";

const MEDIA: &str = "#EXTM3U
#EXT-X-TARGETDURATION:7
#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"700@0\"
#EXT-X-KEY:METHOD=AES-128,URI=\"../keys/1.key\",IV=0x00000000000000000000000000000001
#EXTINF:6.006,
seg-1.m4s
#EXTINF:6.006,a title, with commas
#EXT-X-BYTERANGE:1000@0
whole.mp4
#EXTINF:2.5,
#EXT-X-BYTERANGE:500
whole.mp4
#EXT-X-VENDOR-THING:anything=goes
#EXT-X-ENDLIST
";

const SMOOTH: &str = r#"<?xml version="1.0"?>
<SmoothStreamingMedia MajorVersion="2" Duration="60000000">
 <StreamIndex Type="video" Url="QualityLevels({bitrate})/Fragments(video={start time})">
  <QualityLevel Index="0" Bitrate="800000" FourCC="H264" MaxWidth="640" MaxHeight="360" CodecPrivateData="00ff"/>
  <QualityLevel Index="1" Bitrate="200000" FourCC="H264"/>
  <c d="20000000" r="2"/><c t="50000000" d="10000000"/>
 </StreamIndex>
 <StreamIndex Type="audio" Name="en" Url="QualityLevels({bitrate})/Fragments(en={start time})">
  <QualityLevel Bitrate="64000" FourCC="AACL"/><c t="0" d="60000000"/>
 </StreamIndex>
</SmoothStreamingMedia>"#;

#[test]
fn fragments_of_smooth_streaming_are_those_of_their_timeline() {
    let read = |text: &str| {
        let manifest = Manifest::read("l/a.ism/manifest", Some("application/vnd.ms-sstr+xml"), None, text.into())?;
        let mut names = Vec::new();
        let summary = manifest.visit(&mut |named| names.push(named.target));
        summary.map(|summary| (summary, names))
    };
    let (summary, names) = read(SMOOTH).unwrap();
    let inside = |name: &str| Target::Inside(format!("l/a.ism/{name}"));
    assert_eq!(
        names,
        [
            inside("QualityLevels(800000)/Fragments(video=0)"),
            inside("QualityLevels(800000)/Fragments(video=20000000)"),
            inside("QualityLevels(800000)/Fragments(video=50000000)"),
            inside("QualityLevels(200000)/Fragments(video=0)"),
            inside("QualityLevels(200000)/Fragments(video=20000000)"),
            inside("QualityLevels(200000)/Fragments(video=50000000)"),
            inside("QualityLevels(64000)/Fragments(en=0)"),
        ]
    );
    assert_eq!((summary.kind, summary.is_complete), (Kind::Smooth, true));
    let shown: Vec<_> =
        summary.renditions.iter().map(|one| (one.name.as_str(), one.bandwidth, one.segments, one.seconds)).collect();
    assert_eq!(
        shown,
        [("video", Some(800_000), 3, 5.0), ("video", Some(200_000), 3, 5.0), ("audio en", Some(64_000), 1, 6.0)]
    );
    assert_eq!(summary.renditions[0].codecs.as_deref(), Some("H264 00ff"));
    let live = read(&SMOOTH.replace("Duration=\"60000000\"", "IsLive=\"TRUE\"")).unwrap();
    assert!(!live.0.is_complete);
    let endless = SMOOTH.replace("r=\"2\"", "r=\"18446744073709551615\"");
    assert_eq!(read(&endless).unwrap_err(), Problem::NamesTooMuch);
}

const MPD: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" type="static" mediaPresentationDuration="PT25S" profiles="urn:mpeg:dash:profile:isoff-live:2011">
 <Period id="0" start="PT0S">
  <AdaptationSet contentType="video" codecs="avc1.64001f">
   <ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc" cenc:default_KID="9EB4050D-E44B-4802-932E-27D75083E266"/>
   <SegmentTemplate timescale="1000" initialization="init-$RepresentationID$.m4s" media="chunk-$RepresentationID$-$Number%05d$.m4s" startNumber="1">
    <SegmentTimeline><S t="0" d="10000" r="1"/><S d="5000"/></SegmentTimeline>
   </SegmentTemplate>
   <Representation id="v0" bandwidth="2000000" width="1280" height="720"/>
   <Representation id="v1" bandwidth="800000" width="640" height="360"/>
  </AdaptationSet>
  <AdaptationSet contentType="audio" mimeType="audio/mp4">
   <SegmentTemplate timescale="48000" duration="480000" initialization="a/init.mp4" media="a/$Time$-$Bandwidth$-$$.m4s"/>
   <Representation id="a0" bandwidth="128000" codecs="mp4a.40.2"/>
  </AdaptationSet>
  <AdaptationSet contentType="text" mimeType="text/vtt">
   <Representation id="t0" bandwidth="100"><BaseURL>subs/de.vtt</BaseURL></Representation>
  </AdaptationSet>
  <AdaptationSet contentType="video">
   <BaseURL>list/</BaseURL>
   <Representation id="l0" bandwidth="1"><SegmentList duration="10"><Initialization sourceURL="i.mp4"/><SegmentURL media="1.m4s"/><SegmentURL media="2.m4s"/></SegmentList></Representation>
  </AdaptationSet>
 </Period>
</MPD>"#;

fn visit(path: &str, text: impl Into<Vec<u8>>) -> Result<(Summary, Vec<Named>), Problem> {
    let manifest = Manifest::read(path, None, None, text.into())?;
    let mut named = Vec::new();
    let summary = manifest.visit(&mut |one| named.push(one))?;
    let mut again = 0;
    manifest.visit(&mut |_| again += 1)?;
    assert_eq!(again, named.len(), "the same each time");
    Ok((summary, named))
}

fn inside(named: &[Named], role: Role) -> Vec<&str> {
    let of_role = named.iter().filter(|one| one.role == role);
    of_role.filter_map(|one| if let Target::Inside(name) = &one.target { Some(name.as_str()) } else { None }).collect()
}

fn problem(path: &str, text: impl Into<Vec<u8>>) -> (&'static str, String) {
    let problem = visit(path, text).expect_err("it was taken");
    (problem.code(), problem.to_string())
}

#[test]
fn a_master_playlist_names_playlists() {
    let (summary, named) = visit("films/7/master.m3u8", MASTER).unwrap();
    assert_eq!((summary.kind, summary.is_complete), (Kind::HlsMaster, true));
    assert_eq!(
        inside(&named, Role::Playlist),
        [
            "films/7/audio/en.m3u8",
            "films/7/subs/de.m3u8",
            "films/7/720/index.m3u8",
            "films/7/360/index.m3u8",
            "films/7/720/iframes.m3u8"
        ]
    );
    assert_eq!(summary.renditions.len(), 5);
    let first = &summary.renditions[2];
    assert_eq!((first.bandwidth, first.resolution), (Some(2_000_000), Some((1280, 720))));
    assert_eq!(first.codecs.as_deref(), Some("avc1.4d401f,mp4a.40.2"));
    let key = Named { role: Role::Key, target: Target::Absolute("skd://key1".into()), rendition: None };
    assert_eq!(named.last(), Some(&key));
    assert_eq!(summary.protection.iter().collect::<Vec<_>>(), ["com.apple.streamingkeydelivery"]);
}

#[test]
fn a_media_playlist_names_segments_ranges_maps_and_keys() {
    let (summary, named) = visit("f/720/index.m3u8", MEDIA).unwrap();
    assert_eq!((summary.kind, summary.is_complete), (Kind::HlsMedia, true));
    assert_eq!(inside(&named, Role::Segment), ["f/720/seg-1.m4s", "f/720/whole.mp4", "f/720/whole.mp4"]);
    assert_eq!(inside(&named, Role::Initialization), ["f/720/init.mp4"]);
    assert_eq!(inside(&named, Role::Key), ["f/keys/1.key"]);
    let rendition = &summary.renditions[0];
    assert_eq!((rendition.segments, (rendition.seconds * 1000.0).round()), (3, 14512.0));
    let (live, _) = visit("live.m3u8", MEDIA.replace("#EXT-X-ENDLIST\n", "")).unwrap();
    assert!(!live.is_complete);
}

#[test]
fn an_mpd_names_what_its_templates_timelines_lists_and_bases_say() {
    let (summary, named) = visit("f/stream.mpd", MPD).unwrap();
    assert_eq!((summary.kind, summary.is_complete), (Kind::Dash, true));
    let of = |number| {
        let its = named.iter().filter(|one| one.rendition == Some(number)).cloned();
        its.collect::<Vec<_>>()
    };
    assert_eq!(inside(&of(0), Role::Segment), ["f/chunk-v0-00001.m4s", "f/chunk-v0-00002.m4s", "f/chunk-v0-00003.m4s"]);
    assert_eq!(inside(&of(1), Role::Initialization), ["f/init-v1.m4s"]);
    assert_eq!(
        inside(&of(2), Role::Segment),
        ["f/a/0-128000-$.m4s", "f/a/480000-128000-$.m4s", "f/a/960000-128000-$.m4s"]
    );
    assert_eq!(inside(&of(3), Role::Segment), ["f/subs/de.vtt"]);
    assert_eq!(inside(&of(4), Role::Segment), ["f/list/1.m4s", "f/list/2.m4s"]);
    assert_eq!(inside(&of(4), Role::Initialization), ["f/list/i.mp4"]);
    let [video, .., list] = summary.renditions.as_slice() else { panic!("{summary:?}") };
    assert_eq!((video.name.as_str(), video.segments, video.seconds), ("v0", 3, 25.0));
    assert_eq!(video.codecs.as_deref(), Some("avc1.64001f"));
    assert_eq!(list.segments, 2);
    assert_eq!(summary.protection.iter().collect::<Vec<_>>(), ["9eb4050d-e44b-4802-932e-27d75083e266"]);
}

#[test]
fn an_open_timeline_ends_with_its_period() {
    let open = MPD.replace(r#"<S t="0" d="10000" r="1"/><S d="5000"/>"#, r#"<S t="0" d="10000" r="-1"/>"#);
    let (summary, _) = visit("f/stream.mpd", open).unwrap();
    assert_eq!(summary.renditions[0].segments, 3);
}

#[test]
fn addresses_that_lead_to_the_source_itself_are_seen() {
    let text =
        "#EXTM3U\n#EXTINF:4,\nhttps://west.blob.example/films/a.ts\n#EXTINF:4,\n/films/b.ts\n#EXTINF:4,\n../c.ts\n";
    let (_, named) = visit("main.m3u8", text).unwrap();
    let targets: Vec<_> = named.into_iter().map(|one| one.target).collect();
    assert_eq!(
        targets,
        [
            Target::Absolute("https://west.blob.example/films/a.ts".into()),
            Target::FromRoot("/films/b.ts".into()),
            Target::Outside("../c.ts".into())
        ]
    );
    let absolute = MPD.replace("<BaseURL>list/</BaseURL>", "<BaseURL>https://west.example/l/</BaseURL>");
    let (_, named) = visit("f/stream.mpd", absolute).unwrap();
    assert_eq!(named.last().unwrap().target, Target::Absolute("https://west.example/l/2.m4s".into()));
}

#[test]
fn what_is_no_manifest_has_a_name() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><MPD>&b;</MPD>";
    for (path, text, code) in [
        ("a.m3u8", "<html/>".to_owned(), "manifest-malformed"),
        ("a.m3u8", String::new(), "manifest-malformed"),
        ("a.m3u8", "#EXTM3U\n".to_owned(), "manifest-names-nothing"),
        ("a.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n".to_owned(), "manifest-malformed"),
        ("a.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:NOTHING\na.m3u8\n".to_owned(), "manifest-malformed"),
        (
            "a.m3u8",
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXTINF:1,\na.ts\n".to_owned(),
            "manifest-malformed",
        ),
        ("a.m3u8", "#EXTM3U\n#EXTINF:1,\n{$base}/a.ts\n".to_owned(), "manifest-variables"),
        ("a.m3u8", format!("#EXTM3U\n#EXTINF:1,\n{}.ts\n", "a".repeat(70_000)), "manifest-malformed"),
        ("a.mpd", "#EXTM3U".to_owned(), "manifest-malformed"),
        ("a.mpd", "<MPD><Period>".to_owned(), "manifest-malformed"),
        ("a.mpd", "<MPD/>".to_owned(), "manifest-names-nothing"),
        ("a.mpd", bomb.to_owned(), "manifest-document-type"),
        ("a.mpd", MPD.replace("$Number%05d$", "$Number%5x$"), "manifest-malformed"),
        ("a.mpd", MPD.replace("$Number%05d$", "$Number"), "manifest-malformed"),
        ("a.mpd", MPD.replace(r#"r="1""#, r#"r="4000000000""#), "manifest-names-too-much"),
        ("a.mpd", MPD.replace("PT25S", "PT25000000H"), "manifest-names-too-much"),
    ] {
        assert_eq!(problem(path, text.clone()).0, code, "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn a_playlist_of_ten_megabytes_is_read() {
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n".to_owned();
    while text.len() < 10_000_000 {
        text += "#EXTINF:6.0,\nsegments/with/a/long/name/of/some/forty/letters.m4s\n";
    }
    let (summary, _) = visit("long.m3u8", text).unwrap();
    assert!(summary.renditions[0].segments > 130_000, "{}", summary.renditions[0].segments);
}

#[test]
fn a_manifest_is_known_by_name_or_type() {
    for (path, content_type, expected) in [
        ("a/master.M3U8", None, true),
        ("stream.mpd", Some("text/plain"), true),
        ("playlist", Some("application/vnd.apple.mpegurl; charset=utf-8"), true),
        ("stream", Some("application/dash+xml"), true),
        ("a.ts", Some("video/mp2t"), false),
        ("ä.ts", None, false),
    ] {
        assert_eq!(Manifest::is_one(path, content_type), expected, "{path}");
    }
}

/// Found by fuzzing: short texts that would count beyond what numbers hold, or work for hours.
#[test]
fn what_short_texts_make_of_themselves_is_bounded() {
    let read = |name: &str, content_type: Option<&str>, text: String| {
        let begun = std::time::Instant::now();
        let problem =
            Manifest::read(name, content_type, None, text.into_bytes()).unwrap().visit(&mut |_| ()).unwrap_err();
        assert!(begun.elapsed().as_secs() < 20, "{problem}");
        problem
    };
    let mpd = |text: &str| read("a.mpd", None, text.to_owned());
    let in_period = |template: &str, id: &str| {
        mpd(&format!(
            "<MPD><Period duration=\"PT1S\"><AdaptationSet><SegmentTemplate {template}</SegmentTemplate>\
             <Representation id=\"{id}\"/></AdaptationSet></Period></MPD>"
        ))
    };
    assert_eq!(mpd("<MPD><Period start=\"PT9999999999S\" duration=\"PT1S\"/></MPD>"), Problem::NamesNothing);
    for duration in ["PT18446744073709551615M", "-P084467440737091M0S", "PT0.00000000001S"] {
        let problem = mpd(&format!("<MPD><Period duration=\"{duration}\"/></MPD>"));
        assert_eq!(problem.code(), "manifest-malformed", "{duration}");
    }
    let counted = "startNumber=\"0\" endNumber=\"18446744073709551615\" duration=\"1\" media=\"a$Number$\">";
    assert_eq!(in_period(counted, "v"), Problem::NamesTooMuch);
    let line = "<SegmentTimeline><S d=\"1\" r=\"999999\"/></SegmentTimeline>";
    let long = format!("media=\"{}$Number$\">{line}", "a".repeat(60_000));
    assert_eq!(in_period(&long, "v"), Problem::AddressTooLong);
    let many = format!("media=\"{}$Number$\">{line}", "$RepresentationID$".repeat(400));
    assert_eq!(in_period(&many, &"v".repeat(30_000)), Problem::AddressTooLong);
    let smooth = |url: &str, bitrate: &str| {
        let text = format!(
            "<SmoothStreamingMedia><StreamIndex Url=\"{url}\"><QualityLevel Bitrate=\"{bitrate}\"/>\
             <c d=\"1\" r=\"999999\"/></StreamIndex></SmoothStreamingMedia>"
        );
        read("a/manifest", Some("application/vnd.ms-sstr+xml"), text)
    };
    assert_eq!(smooth(&"{bitrate}".repeat(3_000), &"1".repeat(30_000)), Problem::AddressTooLong);
    assert_eq!(smooth(&"a".repeat(60_000), "1"), Problem::AddressTooLong);
}
