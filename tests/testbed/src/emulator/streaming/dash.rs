//! DASH presentations with a segment timeline.

use std::fmt::Write as _;

use super::ism::{ServerManifest, Track, TrackKind};
use super::smooth::{Timeline, Timelines, escape, seconds};

pub(super) const CONTENT_TYPE: &str = "application/dash+xml";

/// The presentation in one of the two dialects; every URL in it is relative.
pub(super) fn presentation(manifest: &ServerManifest, timelines: &Timelines, format: &str) -> String {
    let mut sets = String::new();
    let video: Vec<&Track> = manifest.of_kind(TrackKind::Video).collect();
    if !video.is_empty() {
        adaptation_set(&mut sets, &video, &timelines.of(video[0]), format);
    }
    for audio in manifest.of_kind(TrackKind::Audio) {
        adaptation_set(&mut sets, &[audio], &timelines.of(audio), format);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" \
         profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" mediaPresentationDuration=\"PT{:.3}S\" \
         minBufferTime=\"PT3S\">\n<Period>\n{sets}</Period>\n</MPD>\n",
        seconds(timelines.longest())
    )
}

fn adaptation_set(into: &mut String, tracks: &[&Track], timeline: &Timeline, format: &str) {
    let [first, ..] = tracks else { return };
    let (kind, name) = (first.kind.name(), escape(&first.name));
    let language =
        first.language.as_ref().map(|language| format!(" lang=\"{}\"", escape(language))).unwrap_or_default();
    let codec = if first.kind == TrackKind::Video { "avc1.640028" } else { "mp4a.40.2" };
    let _ = writeln!(
        into,
        "<AdaptationSet contentType=\"{kind}\" mimeType=\"{kind}/mp4\" codecs=\"{codec}\" segmentAlignment=\"true\"{language}>\n\
         <SegmentTemplate timescale=\"10000000\" media=\"QualityLevels($Bandwidth$)/Fragments({name}=$Time$,format={format})\" \
         initialization=\"QualityLevels($Bandwidth$)/Fragments({name}=i,format={format})\">\n<SegmentTimeline>"
    );
    for duration in &timeline.durations {
        let _ = writeln!(into, "<S d=\"{duration}\"/>");
    }
    into.push_str("</SegmentTimeline>\n</SegmentTemplate>\n");
    for (index, track) in tracks.iter().enumerate() {
        let size =
            track.size.map(|(width, height)| format!(" width=\"{width}\" height=\"{height}\"")).unwrap_or_default();
        let _ = writeln!(into, "<Representation id=\"{kind}_{name}_{index}\" bandwidth=\"{}\"{size}/>", track.bitrate);
    }
    into.push_str("</AdaptationSet>\n");
}
