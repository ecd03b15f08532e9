//! Reads manifests that endpoints have served, and says what a player would see. Pure: bytes in, comparable lines out.

use sha2::{Digest, Sha256};

use crate::manifests::{Manifest, Summary};
use crate::model::Protocol;

/// A manifest that an endpoint has served, with what a player would see of it.
#[derive(Debug)]
pub struct Facts {
    /// One line a fact, in a fixed order. Equal lines, equal streams.
    pub lines: Vec<String>,
    /// To be read further.
    pub manifest: Manifest,
    pub summary: Summary,
}

impl Facts {
    /// Reads the manifest of `protocol` that is served at `path`, with the encoding that its headers say.
    ///
    /// # Errors
    /// What is wrong with it: lower case, for an operator.
    pub fn read(protocol: Protocol, path: &str, encoding: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let content_type = match protocol {
            Protocol::Smooth => "application/vnd.ms-sstr+xml",
            Protocol::Dash => "application/dash+xml",
            Protocol::Hls => "application/vnd.apple.mpegurl",
            Protocol::Progressive => return Err("is none: progressive files have no manifest".to_owned()),
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
        Ok(Self { lines, manifest, summary })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summarise(protocol: Protocol, body: &[u8]) -> Result<Vec<String>, String> {
        Facts::read(protocol, "film/manifest", None, body).map(|facts| facts.lines)
    }

    #[test]
    fn the_same_stream_in_another_encoding_is_the_same() {
        let text = r#"<?xml version="1.0"?><SmoothStreamingMedia Duration="40000000"><StreamIndex Type="video" Url="Q({bitrate})/F(v={start time})"><QualityLevel Bitrate="1"/><c d="1"/></StreamIndex></SmoothStreamingMedia>"#;
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
            (Protocol::Smooth, "<SmoothStreamingMedia/>", "names no media"),
            (Protocol::Smooth, "<!DOCTYPE x [<!ENTITY a \"a\">]><SmoothStreamingMedia/>", "has a document type"),
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
