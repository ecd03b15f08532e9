//! HLS playlists: a master with one entry per video quality, and the media playlists below it.

use std::fmt::Write as _;

use super::ism::{ServerManifest, Track, TrackKind};
use super::smooth::{Timeline, seconds};

pub(super) const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// The master playlist in one of the three dialects; every URI is relative to the manifest.
pub(super) fn master_playlist(manifest: &ServerManifest, format: &str) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{}\n", if format == "m3u8-aapl-v3" { 3 } else { 4 });
    let audio_bitrate = manifest.of_kind(TrackKind::Audio).map(|track| track.bitrate).max().unwrap_or(0);
    for (index, track) in manifest.of_kind(TrackKind::Audio).enumerate() {
        let default = if index == 0 { "YES" } else { "NO" };
        let language = track.language.as_ref().map(|language| format!(",LANGUAGE=\"{language}\"")).unwrap_or_default();
        let uri = playlist_uri(track, format);
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{}\",DEFAULT={default}{language},URI=\"{uri}\"",
            track.name
        );
    }
    let audio =
        if audio_bitrate > 0 { ",CODECS=\"avc1.640028,mp4a.40.2\",AUDIO=\"audio\"" } else { ",CODECS=\"avc1.640028\"" };
    for track in manifest.of_kind(TrackKind::Video) {
        let size = track.size.map(|(width, height)| format!(",RESOLUTION={width}x{height}")).unwrap_or_default();
        let bandwidth = track.bitrate + audio_bitrate;
        let _ = writeln!(text, "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}{size}{audio}\n{}", playlist_uri(track, format));
    }
    text
}

/// The playlist of one quality: every chunk, and the end.
pub(super) fn media_playlist(track: &Track, timeline: &Timeline) -> String {
    let longest = timeline.durations.iter().max().copied().unwrap_or(0).div_ceil(10_000_000);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-TARGETDURATION:{longest}\n"
    );
    for (start, duration) in timeline.starts().zip(&timeline.durations) {
        let _ = writeln!(
            text,
            "#EXTINF:{:.6},no-desc\nFragments({}={start},format=m3u8-aapl)",
            seconds(*duration),
            track.name
        );
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

fn playlist_uri(track: &Track, format: &str) -> String {
    format!("QualityLevels({})/Manifest({},format={format})", track.bitrate, track.name)
}
