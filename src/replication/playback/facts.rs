//! Reads manifests that endpoints have served, and says what a player would see. Pure: bytes in, comparable lines out.

use roxmltree::{Document, Node};
use sha2::{Digest, Sha256};

use crate::manifests::{Manifest, Summary, decode};
use crate::model::Protocol;

/// A manifest that an endpoint has served, with what a player would see of it.
#[derive(Debug)]
pub struct Facts {
    /// One line a fact, in a fixed order. Equal lines, equal streams.
    pub lines: Vec<String>,
    /// HLS and DASH, to be read further.
    pub packaged: Option<(Manifest, Summary)>,
}

impl Facts {
    /// Reads the manifest of `protocol` that is served at `path`, with the encoding that its headers say.
    ///
    /// # Errors
    /// What is wrong with it: lower case, for an operator.
    pub fn read(protocol: Protocol, path: &str, encoding: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let content_type = match protocol {
            Protocol::Smooth => {
                let text = decode(encoding, body.to_vec()).map_err(|problem| problem.to_string())?;
                let lines = summarise_xml(&text, "SmoothStreamingMedia", smooth_facts)?;
                return Ok(Self { lines, packaged: None });
            }
            Protocol::Dash => "application/dash+xml",
            Protocol::Hls => "application/vnd.apple.mpegurl",
            Protocol::Progressive => return Ok(Self { lines: Vec::new(), packaged: None }),
        };
        let manifest = Manifest::read(path, Some(content_type), encoding, body.to_vec());
        let manifest = manifest.map_err(|problem| problem.to_string())?;
        let (mut files, mut digest) = (0, Sha256::new());
        let summary = manifest.visit(&mut |named| {
            files += 1;
            digest.update(format!("{named:?}\n"));
        });
        let summary = summary.map_err(|problem| problem.to_string())?;
        let Summary { kind, is_complete, renditions, protection } = &summary;
        let about = format!("{kind:?} complete={is_complete} protection={protection:?}");
        let offers = renditions.iter().map(|rendition| format!("{rendition:?}"));
        let digest = digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let names = format!("names {files} files, SHA-256 of their addresses {digest}");
        let lines = [about].into_iter().chain(offers).chain([names]).collect();
        Ok(Self { lines, packaged: Some((manifest, summary)) })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn summarise(protocol: Protocol, body: &[u8]) -> Result<Vec<String>, String> {
        Facts::read(protocol, "film/manifest", None, body).map(|facts| facts.lines)
    }

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
            (Protocol::Dash, "nonsense", "is no MPD"),
            (Protocol::Dash, bomb, "has a document type"),
            (Protocol::Hls, "hello", "#EXTM3U"),
            (Protocol::Hls, "#EXTM3U\n#EXT-X-VERSION:4", "names no media"),
        ] {
            let error = summarise(protocol, body.as_bytes()).unwrap_err();
            assert!(error.contains(problem), "{body}: {error}");
        }
    }
}
