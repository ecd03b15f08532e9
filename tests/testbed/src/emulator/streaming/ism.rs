//! The server manifest: a small SMIL document that names the files behind a stream.

use roxmltree::Document;

/// What a server manifest says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServerManifest {
    client_manifest: Option<String>,
    pub(crate) tracks: Vec<Track>,
}

/// One track: a file and a bitrate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) kind: TrackKind,
    pub(crate) source: String,
    /// In bits per second.
    pub(crate) bitrate: u64,
    /// The track's name in fragment URLs.
    pub(crate) name: String,
    pub(crate) language: Option<String>,
    /// Width and height in pixels, where the file's name or a parameter tells.
    pub(crate) size: Option<(u32, u32)>,
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrackKind {
    Video,
    Audio,
    Text,
}

/// Parses a server manifest; the error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<ServerManifest, String> {
    let document = Document::parse(text.trim()).map_err(|error| error.to_string())?;
    let meta = |wanted: &str| {
        let mut nodes = document.descendants().filter(|node| node.has_tag_name_local("meta"));
        nodes.find(|node| node.attribute("name") == Some(wanted)).and_then(|node| node.attribute("content"))
    };
    let mut tracks = Vec::new();
    for node in document.descendants() {
        let kind = match node.tag_name().name() {
            "video" => TrackKind::Video,
            "audio" => TrackKind::Audio,
            "textstream" => TrackKind::Text,
            _ => continue,
        };
        let parameter = |wanted: &str| {
            let mut nodes = node.children().filter(|child| child.has_tag_name_local("param"));
            nodes.find(|child| child.attribute("name") == Some(wanted)).and_then(|child| child.attribute("value"))
        };
        let source = node.attribute("src").ok_or("a track has no src")?.to_owned();
        let width = parameter("MaxWidth").and_then(|value| value.parse().ok());
        let height = parameter("MaxHeight").and_then(|value| value.parse().ok());
        tracks.push(Track {
            kind,
            bitrate: node.attribute("systemBitrate").and_then(|value| value.parse().ok()).unwrap_or(0),
            name: parameter("trackName").unwrap_or(kind.name()).to_owned(),
            language: node.attribute("systemLanguage").map(str::to_owned),
            size: width.zip(height).or_else(|| size_in_name(&source)),
            source,
        });
    }
    if tracks.is_empty() {
        return Err("it names no track".to_owned());
    }
    Ok(ServerManifest { client_manifest: meta("clientManifestRelativePath").map(str::to_owned), tracks })
}

impl TrackKind {
    /// The name in Smooth's `Type` and in fragment URLs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Text => "text",
        }
    }
}

impl ServerManifest {
    /// The name of the client manifest: as named, else beside the server manifest.
    pub(crate) fn client_manifest(&self, ism: &str) -> String {
        self.client_manifest.clone().unwrap_or_else(|| format!("{}c", ism))
    }

    /// The tracks of one kind, in the manifest's order.
    pub(crate) fn of_kind(&self, kind: TrackKind) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(move |track| track.kind == kind)
    }

    /// The track with this bitrate and name.
    pub(crate) fn find(&self, bitrate: u64, name: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.bitrate == bitrate && track.name == name)
    }
}

/// `{Basename}_{Width}x{Height}_{VideoBitrate}.mp4` (contract ams-v2 section 6).
fn size_in_name(name: &str) -> Option<(u32, u32)> {
    name.split('_').rev().find_map(|part| {
        let (width, height) = part.split_once('x')?;
        Some((width.parse().ok()?, height.parse().ok()?))
    })
}

/// Tag names without regard to their namespace, since old manifests leave it out.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISM: &str = r#"<?xml version="1.0" encoding="utf-8"?>
        <smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head>
        <meta name="clientManifestRelativePath" content="clip.ismc"/></head>
        <body><switch>
        <video src="clip_640x360_800.mp4" systemBitrate="800000"><param name="trackID" value="1" valuetype="data"/></video>
        <audio src="clip_640x360_800.mp4" systemBitrate="128000" systemLanguage="eng">
        <param name="trackName" value="aac_eng" valuetype="data"/></audio>
        </switch></body></smil>"#;

    #[test]
    fn reads_tracks() {
        let manifest = parse(ISM).unwrap();
        assert_eq!(manifest.client_manifest("x.ism"), "clip.ismc");
        assert_eq!(manifest.tracks.len(), 2);
        let video = manifest.find(800_000, "video").unwrap();
        assert_eq!((video.source.as_str(), video.size), ("clip_640x360_800.mp4", Some((640, 360))));
        assert_eq!(manifest.find(128_000, "aac_eng").unwrap().language.as_deref(), Some("eng"));
        assert!(parse("<smil/>").is_err());
        assert!(parse("not xml").is_err());
    }
}
