//! What a streaming URL asks for (contract ams-v2 section 6).

use percent_encoding::percent_decode_str;

/// A parsed streaming URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The GUID of the locator.
    pub(super) locator: String,
    pub(super) target: Target,
}

/// What is wanted of the asset.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    File(String),
    Manifest { ism: String, protocol: Protocol },
    MediaPlaylist { ism: String, bitrate: u64, track: String },
    Fragment { ism: String, bitrate: u64, track: String, start: u64 },
}

/// A streaming protocol with its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Smooth,
    SmoothLegacy,
    Hls(&'static str),
    Dash(&'static str),
}

const HLS: [&str; 3] = ["m3u8-aapl", "m3u8-aapl-v3", "m3u8-cmaf"];
const DASH: [&str; 2] = ["mpd-time-csf", "mpd-time-cmaf"];

/// Splits `/<guid>/<file>` or `/<guid>/<name>.ism/…`; `None` for a format that does not exist.
pub(super) fn parse(raw: &str) -> Option<Wanted> {
    let path = percent_decode_str(raw).decode_utf8().ok()?;
    let (locator, rest) = path.trim_start_matches('/').split_once('/')?;
    let locator = locator.to_ascii_lowercase();
    let target = match rest.to_ascii_lowercase().find(".ism/") {
        None if rest.is_empty() => return None,
        None => Target::File(rest.to_owned()),
        Some(at) => below_ism(&rest[..at + 4], &rest[at + 5..])?,
    };
    Some(Wanted { locator, target })
}

fn below_ism(ism: &str, rest: &str) -> Option<Target> {
    let ism = ism.to_owned();
    if let Some((level, last)) = rest.split_once('/') {
        let bitrate = arguments(level, "qualitylevels")?.first()?.parse().ok()?;
        if let Some(arguments) = arguments(last, "manifest") {
            return Some(Target::MediaPlaylist { ism, bitrate, track: (*arguments.first()?).to_owned() });
        }
        let (track, start) = arguments(last, "fragments")?.first()?.split_once('=')?;
        // `i` is DASH's initialisation segment
        let start = if start == "i" { 0 } else { start.parse().ok()? };
        return Some(Target::Fragment { ism, bitrate, track: track.to_owned(), start });
    }
    if rest.eq_ignore_ascii_case("manifest") {
        return Some(Target::Manifest { ism, protocol: Protocol::Smooth });
    }
    let arguments = arguments(rest, "manifest")?;
    let format = arguments.iter().find_map(|argument| argument.strip_prefix("format="));
    let same = |known: &&'static str| Some(*known) == format;
    let protocol = match format {
        None => Protocol::Smooth,
        Some("fmp4-v20") => Protocol::SmoothLegacy,
        Some(_) => {
            let hls = HLS.into_iter().find(same).map(Protocol::Hls);
            hls.or_else(|| DASH.into_iter().find(same).map(Protocol::Dash))?
        }
    };
    Some(Target::Manifest { ism, protocol })
}

/// The comma-separated arguments of `name(…)`, whose name ignores case.
fn arguments<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let (found, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    found.eq_ignore_ascii_case(name).then(|| inner.split(',').map(str::trim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(rest: &str) -> Option<Target> {
        parse(&format!("/0B6D2F10-7a1e-4c55-9a3e-5d1f0c8e7a21/{rest}")).map(|wanted| wanted.target)
    }

    #[test]
    fn reads_manifest_urls() {
        let manifest = |protocol| Some(Target::Manifest { ism: "a b.ism".to_owned(), protocol });
        assert_eq!(target("a%20b.ism/manifest"), manifest(Protocol::Smooth));
        assert_eq!(target("a%20b.ism/Manifest(format=fmp4-v20)"), manifest(Protocol::SmoothLegacy));
        assert_eq!(target("a%20b.ism/manifest(filter=x,format=m3u8-cmaf)"), manifest(Protocol::Hls("m3u8-cmaf")));
        assert_eq!(target("a%20b.ism/manifest(format=mpd-time-csf)"), manifest(Protocol::Dash("mpd-time-csf")));
        assert_eq!(target("a.ism/manifest(format=wav)"), None);
        assert_eq!(target("a_320x180_400.mp4"), Some(Target::File("a_320x180_400.mp4".to_owned())));
        let playlist = Target::MediaPlaylist { ism: "a.ism".to_owned(), bitrate: 400, track: "video".to_owned() };
        assert_eq!(target("a.ism/QualityLevels(400)/Manifest(video,format=m3u8-aapl)"), Some(playlist));
        let fragment = Target::Fragment { ism: "a.ism".to_owned(), bitrate: 400, track: "video".to_owned(), start: 5 };
        assert_eq!(target("a.ism/QualityLevels(400)/Fragments(video=5,format=m3u8-aapl)"), Some(fragment));
        assert_eq!(parse("/").map(|_| ()), None);
    }
}
