//! Smooth Streaming client manifests ([MS-SSTR], section 2.2.2): addresses of fragments from a pattern and a timeline.

use std::collections::BTreeSet;

use roxmltree::{Document, Node};

use super::uri::Target;
use super::{Kind, LONGEST_ADDRESS, Named, Problem, Rendition, Role, Summary, Tell};

/// Ticks of a second, where the manifest does not say.
const TICKS: u64 = 10_000_000;

/// Reads a client manifest.
pub fn visit(path: &str, text: &str, tell: &mut Tell<'_>) -> Result<Summary, Problem> {
    let document = Document::parse(text).map_err(|error| match error {
        roxmltree::Error::DtdDetected => Problem::DocumentType,
        error => Problem::Malformed(format!("is not well-formed XML: {error}")),
    })?;
    let root = document.root_element();
    let name = root.tag_name().name();
    if name != "SmoothStreamingMedia" {
        return Err(Problem::Malformed(format!("begins with <{name}> instead of <SmoothStreamingMedia>")));
    }
    let ticks = number(root, "TimeScale").unwrap_or(TICKS).max(1);
    let mut renditions = Vec::new();
    for stream in children(root, "StreamIndex") {
        for level in children(stream, "QualityLevel") {
            let mut rendition = rendition(stream, level);
            let pattern = pattern(stream, level)?;
            for (start, length) in Chunks::of(stream) {
                let address =
                    pattern.replace("{start time}", &start.to_string()).replace("{start_time}", &start.to_string());
                let target = Target::resolve(path, &address);
                tell(Named { role: Role::Segment, target, rendition: Some(renditions.len()) })?;
                rendition.segments += 1;
                rendition.seconds += length as f64 / ticks as f64;
            }
            renditions.push(rendition);
        }
    }
    let is_live = root.attribute("IsLive").is_some_and(|live| live.eq_ignore_ascii_case("true"));
    let headers = root.descendants().filter(|node| node.has_tag_name("ProtectionHeader"));
    let protection: BTreeSet<_> = headers.filter_map(|header| Some(header.attribute("SystemID")?.to_owned())).collect();
    Ok(Summary { kind: Kind::Smooth, is_complete: !is_live, renditions, protection })
}

fn rendition(stream: Node<'_, '_>, level: Node<'_, '_>) -> Rendition {
    let told = |node: Node<'_, '_>, names: &[&str]| {
        names
            .iter()
            .filter_map(|name| node.attribute(*name))
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let codecs = told(level, &["FourCC", "CodecPrivateData"]);
    Rendition {
        name: told(stream, &["Type", "Name", "Language"]),
        bandwidth: number(level, "Bitrate"),
        codecs: (!codecs.is_empty()).then_some(codecs),
        resolution: number(level, "MaxWidth").zip(number(level, "MaxHeight")),
        ..Rendition::default()
    }
}

/// The address of a fragment of this quality, but for its start ([MS-SSTR], section 2.2.2.3, `Url`).
fn pattern(stream: Node<'_, '_>, level: Node<'_, '_>) -> Result<String, Problem> {
    let pattern = stream.attribute("Url").unwrap_or_default();
    let bitrate = level.attribute("Bitrate").unwrap_or_default();
    // a number of 64 bits has 20 digits
    if bitrate.len() > 20 || pattern.len() > LONGEST_ADDRESS {
        return Err(Problem::AddressTooLong);
    }
    Ok(pattern.replace("{bitrate}", bitrate).replace("{Bitrate}", bitrate))
}

/// Starts and lengths of a stream's fragments, in ticks ([MS-SSTR], section 2.2.2.6).
struct Chunks<'a> {
    nodes: Vec<Node<'a, 'a>>,
    at: usize,
    repeats: u64,
    time: u64,
}

impl<'a> Chunks<'a> {
    fn of(stream: Node<'a, 'a>) -> Self {
        let nodes = children(stream, "c").collect();
        Self { nodes, at: 0, repeats: 0, time: 0 }
    }
}

impl Iterator for Chunks<'_> {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let node = *self.nodes.get(self.at)?;
        if self.repeats == 0 {
            self.repeats = number(node, "r").unwrap_or(1).max(1);
            self.time = number(node, "t").unwrap_or(self.time);
        }
        // the last one may leave its length out
        let (start, length) = (self.time, number(node, "d").unwrap_or_default());
        self.time = self.time.saturating_add(length);
        self.repeats -= 1;
        if self.repeats == 0 {
            self.at += 1;
        }
        Some((start, length))
    }
}

fn children<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

fn number(node: Node<'_, '_>, name: &str) -> Option<u64> {
    node.attribute(name)?.trim().parse().ok()
}
