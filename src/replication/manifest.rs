//! Reads streaming manifests and says what a player would see. Pure: bytes in, a comparable summary out.

use roxmltree::{Document, Node};

use crate::model::Protocol;

/// What a player would see of a manifest: one line a fact, in a fixed order. Equal summaries, equal streams.
///
/// # Errors
/// What is wrong with it: lower case, for an operator.
pub fn summarise(protocol: Protocol, body: &[u8]) -> Result<Vec<String>, String> {
    let text = decode(body)?;
    match protocol {
        Protocol::Smooth => summarise_xml(&text, "SmoothStreamingMedia", smooth_facts),
        Protocol::Dash => summarise_xml(&text, "MPD", dash_facts),
        Protocol::Hls => summarise_hls(&text),
    }
}

/// Packagers write UTF-8 and, for Smooth, UTF-16; both may begin with a byte order mark.
fn decode(body: &[u8]) -> Result<String, String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| "is not valid UTF-16".to_owned())
    };
    match body {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            String::from_utf8(rest.to_vec()).map_err(|_| "is not valid UTF-8".to_owned())
        }
    }
}

fn summarise_xml(text: &str, root: &str, facts: fn(Node<'_, '_>) -> Vec<String>) -> Result<Vec<String>, String> {
    let document = Document::parse(text).map_err(|error| format!("is not well-formed XML: {error}"))?;
    let element = document.root_element();
    if element.tag_name().name() != root {
        return Err(format!("begins with <{}> instead of <{root}>", element.tag_name().name()));
    }
    let facts = facts(element);
    if facts.len() < 2 {
        return Err("names no streams".to_owned());
    }
    Ok(facts)
}

fn attributes(node: Node<'_, '_>, names: &[&str]) -> String {
    let one = |name: &&str| format!("{name}={}", node.attribute(*name).unwrap_or("-"));
    names.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn smooth_facts(root: Node<'_, '_>) -> Vec<String> {
    let mut facts = vec![attributes(root, &["Duration", "TimeScale"])];
    for stream in root.children().filter(|node| node.has_tag_name("StreamIndex")) {
        let chunks = stream.children().filter(|node| node.has_tag_name("c")).count();
        facts.push(format!("stream {} chunks={chunks}", attributes(stream, &["Type", "Name", "Language"])));
        let levels = stream.children().filter(|node| node.has_tag_name("QualityLevel"));
        facts.extend(levels.map(|level| {
            format!("level {}", attributes(level, &["Bitrate", "FourCC", "MaxWidth", "MaxHeight", "CodecPrivateData"]))
        }));
    }
    facts
}

fn dash_facts(root: Node<'_, '_>) -> Vec<String> {
    let mut facts = vec![attributes(root, &["type", "mediaPresentationDuration"])];
    let representations = root.descendants().filter(|node| node.tag_name().name() == "Representation");
    facts.extend(
        representations.map(|node| {
            format!("representation {}", attributes(node, &["id", "bandwidth", "codecs", "width", "height"]))
        }),
    );
    facts
}

fn summarise_hls(text: &str) -> Result<Vec<String>, String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    if lines.next() != Some("#EXTM3U") {
        return Err("does not begin with #EXTM3U".to_owned());
    }
    let facts: Vec<String> =
        lines.filter(|line| !line.starts_with('#') || line.starts_with("#EXT")).map(str::to_owned).collect();
    if !facts.iter().any(|line| !line.starts_with('#')) {
        return Err("names no streams".to_owned());
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_stream_in_another_encoding_is_the_same() {
        let text = r#"<?xml version="1.0"?><SmoothStreamingMedia Duration="40000000"><StreamIndex Type="video"><QualityLevel Bitrate="1"/><c d="1"/></StreamIndex></SmoothStreamingMedia>"#;
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let bom: Vec<u8> = [0xef, 0xbb, 0xbf].into_iter().chain(text.bytes()).collect();
        let summary = summarise(Protocol::Smooth, text.as_bytes()).unwrap();
        assert_eq!(summary.len(), 3);
        assert_eq!(summarise(Protocol::Smooth, &utf16), Ok(summary.clone()));
        assert_eq!(summarise(Protocol::Smooth, &bom), Ok(summary.clone()));
        let other = text.replace("Bitrate=\"1\"", "Bitrate=\"2\"");
        assert_ne!(summarise(Protocol::Smooth, other.as_bytes()), Ok(summary));
    }

    #[test]
    fn what_no_player_could_play_is_told_apart() {
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa">]><MPD>&a;</MPD>"#;
        for (protocol, body, problem) in [
            (Protocol::Smooth, "<html/>", "begins with <html>"),
            (Protocol::Smooth, "<SmoothStreamingMedia/>", "names no streams"),
            (Protocol::Dash, "nonsense", "not well-formed"),
            (Protocol::Dash, bomb, "not well-formed"),
            (Protocol::Hls, "hello", "#EXTM3U"),
            (Protocol::Hls, "#EXTM3U\n#EXT-X-VERSION:4", "names no streams"),
        ] {
            let error = summarise(protocol, body.as_bytes()).unwrap_err();
            assert!(error.contains(problem), "{body}: {error}");
        }
    }
}
