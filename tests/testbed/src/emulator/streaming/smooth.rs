//! Smooth Streaming client manifests, and the timeline that the other protocols take from them.

use std::fmt::Write as _;

use roxmltree::Document;

use super::ism::{ServerManifest, Track, TrackKind};

/// As the service sent it; `application/vnd.ms-sstr+xml` is seen too.
pub(super) const CONTENT_TYPE: &str = "text/xml";

/// Ticks of 100 ns, Smooth's default time scale.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// When chunks begin and how long they are, in ticks of 100 ns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timeline {
    pub(super) durations: Vec<u64>,
}

impl Default for Timeline {
    /// Ten chunks of two seconds: what an asset without a client manifest gets, since nobody parses its MP4 boxes here.
    fn default() -> Self {
        Self { durations: vec![2 * TICKS_PER_SECOND; 10] }
    }
}

impl Timeline {
    /// The length of the presentation in ticks.
    pub(super) fn total(&self) -> u64 {
        self.durations.iter().sum()
    }

    /// The number of the chunk that begins at `start`, and how many there are.
    pub(super) fn chunk_at(&self, start: u64) -> Option<(usize, usize)> {
        let position = self.starts().position(|known| known == start);
        position.map(|index| (index, self.durations.len()))
    }

    /// The beginnings of the chunks.
    pub(super) fn starts(&self) -> impl Iterator<Item = u64> {
        self.durations.iter().scan(0, |next, duration| {
            let start = *next;
            *next += duration;
            Some(start)
        })
    }
}

/// Ticks as seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a video are far below 2^53")]
pub(super) fn seconds(ticks: u64) -> f64 {
    (ticks / 10_000) as f64 / 1000.0
}

/// The timelines of all streams by their type: audio chunks do not end exactly where video chunks do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Timelines(Vec<(String, Timeline)>);

impl Timelines {
    /// The timeline of a track.
    pub(super) fn of(&self, track: &Track) -> Timeline {
        let found = self.0.iter().find(|(kind, _)| kind == track.kind.name());
        found.map(|(_, timeline)| timeline.clone()).unwrap_or_default()
    }

    /// The length of the longest one in ticks.
    pub(super) fn longest(&self) -> u64 {
        let longest = self.0.iter().map(|(_, timeline)| timeline.total()).max();
        longest.unwrap_or_else(|| Timeline::default().total())
    }
}

/// Reads the chunks of each stream of a client manifest; a stream that cannot be read is left out.
pub(super) fn timelines(client_manifest: &str) -> Timelines {
    let Ok(document) = Document::parse(client_manifest.trim()) else { return Timelines::default() };
    let scale = document.root_element().attribute("TimeScale").and_then(|scale| scale.parse().ok());
    let streams = document.descendants().filter(|node| node.tag_name().name() == "StreamIndex");
    let read = |stream: roxmltree::Node<'_, '_>| {
        Some((stream.attribute("Type")?.to_owned(), timeline_of(stream, scale.unwrap_or(TICKS_PER_SECOND))?))
    };
    Timelines(streams.filter_map(read).collect())
}

fn timeline_of(stream: roxmltree::Node<'_, '_>, scale: u64) -> Option<Timeline> {
    let mut durations = Vec::new();
    for chunk in stream.children().filter(|node| node.tag_name().name() == "c") {
        let duration: u64 = chunk.attribute("d")?.parse().ok()?;
        let repeat = chunk.attribute("r").map_or(Some(1), |repeat| repeat.parse().ok())?;
        let ticks = duration.checked_mul(TICKS_PER_SECOND)?.checked_div(scale)?;
        durations.extend(std::iter::repeat_n(ticks, repeat));
    }
    (!durations.is_empty()).then_some(Timeline { durations })
}

/// Builds a client manifest where the asset has none.
pub(super) fn client_manifest(manifest: &ServerManifest, timelines: &Timelines) -> String {
    let mut streams = String::new();
    let video: Vec<&Track> = manifest.of_kind(TrackKind::Video).collect();
    if !video.is_empty() {
        stream_index(&mut streams, &video, &timelines.of(video[0]));
    }
    for audio in manifest.of_kind(TrackKind::Audio) {
        stream_index(&mut streams, &[audio], &timelines.of(audio));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SmoothStreamingMedia MajorVersion=\"2\" MinorVersion=\"2\" \
         Duration=\"{}\" TimeScale=\"{TICKS_PER_SECOND}\">\n{streams}</SmoothStreamingMedia>\n",
        timelines.longest()
    )
}

fn stream_index(into: &mut String, tracks: &[&Track], timeline: &Timeline) {
    let [first, ..] = tracks else { return };
    let (kind, name) = (first.kind.name(), escape(&first.name));
    let _ = writeln!(
        into,
        "<StreamIndex Type=\"{kind}\" Name=\"{name}\" QualityLevels=\"{}\" Chunks=\"{}\" \
         Url=\"QualityLevels({{bitrate}})/Fragments({name}={{start time}})\">",
        tracks.len(),
        timeline.durations.len()
    );
    for (index, track) in tracks.iter().enumerate() {
        let codec = match track.kind {
            TrackKind::Video => {
                let (width, height) = track.size.unwrap_or((640, 360));
                format!("FourCC=\"H264\" MaxWidth=\"{width}\" MaxHeight=\"{height}\" CodecPrivateData=\"\"")
            }
            _ => "FourCC=\"AACL\" SamplingRate=\"48000\" Channels=\"2\" BitsPerSample=\"16\" PacketSize=\"4\" AudioTag=\"255\" CodecPrivateData=\"1190\"".to_owned(),
        };
        let _ = writeln!(into, "<QualityLevel Index=\"{index}\" Bitrate=\"{}\" {codec}/>", track.bitrate);
    }
    for (index, duration) in timeline.durations.iter().enumerate() {
        let _ = writeln!(into, "<c n=\"{index}\" d=\"{duration}\"/>");
    }
    into.push_str("</StreamIndex>\n");
}

/// Text for an XML attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_manifest_reads_back() {
        let ism = r#"<smil><body><switch><video src="a_1x1_5.mp4" systemBitrate="5"/><audio src="a_1x1_5.mp4" systemBitrate="1"/></switch></body></smil>"#;
        let manifest = super::super::ism::parse(ism).unwrap();
        let text = client_manifest(&manifest, &Timelines::default());
        assert_eq!(timelines(&text).of(&manifest.tracks[0]), Timeline::default());
        assert_eq!(timelines(&text).longest(), 20 * TICKS_PER_SECOND);
        assert_eq!(Timeline::default().chunk_at(4 * TICKS_PER_SECOND), Some((2, 10)));
    }
}
