//! The media set in `tests/data/media`: its manifests are well formed and agree with each other and with the files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use roxmltree::{Document, Node};

fn media(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "data", "media", name].iter().collect()
}

fn read(name: &str) -> Result<String> {
    std::fs::read_to_string(media(name)).with_context(|| format!("cannot read {name}"))
}

fn elements<'a>(document: &'a Document<'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str> {
    node.attribute(name).with_context(|| format!("{} lacks {name}", node.tag_name().name()))
}

fn files() -> Result<BTreeSet<String>> {
    let names = std::fs::read_dir(media(""))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

fn bitrates(document: &Document<'_>, element: &'static str, name: &str) -> Result<BTreeSet<String>> {
    elements(document, element).map(|node| Ok(attribute(node, name)?.to_owned())).collect()
}

#[test]
fn the_server_manifest_names_files_that_are_there() -> Result<()> {
    let text = read("movie.ism")?;
    let ism = Document::parse(&text)?;
    ensure!(ism.root_element().tag_name().namespace() == Some("http://www.w3.org/2001/SMIL20/Language"));
    let files = files()?;
    let videos: Vec<_> = elements(&ism, "video").collect();
    ensure!(videos.len() == 3 && elements(&ism, "audio").count() == 1);
    for track in videos.into_iter().chain(elements(&ism, "audio")) {
        let source = attribute(track, "src")?;
        ensure!(files.contains(source), "{source} is missing");
        let is_mp4 = std::fs::read(media(source))?.get(4..8) == Some(b"ftyp");
        ensure!(is_mp4, "{source} is not MP4");
        let id = track.children().find(|node| node.attribute("name") == Some("trackID"));
        ensure!(id.and_then(|id| id.attribute("value")).is_some_and(|id| id.parse::<u32>().is_ok()));
    }
    let client = elements(&ism, "meta").find(|meta| meta.attribute("name") == Some("clientManifestRelativePath"));
    ensure!(client.and_then(|meta| meta.attribute("content")) == Some("movie.ismc"));
    Ok(())
}

#[test]
fn the_client_manifest_agrees_with_the_server_manifest() -> Result<()> {
    let (ism, ismc) = (read("movie.ism")?, read("movie.ismc")?);
    let (ism, ismc) = (Document::parse(&ism)?, Document::parse(&ismc)?);
    let root = ismc.root_element();
    let duration: u64 = attribute(root, "Duration")?.parse()?;
    ensure!(attribute(root, "TimeScale")? == "10000000" && duration == 40_000_000);
    let mut rates = bitrates(&ism, "video", "systemBitrate")?;
    rates.extend(bitrates(&ism, "audio", "systemBitrate")?);
    ensure!(bitrates(&ismc, "QualityLevel", "Bitrate")? == rates);
    for stream in elements(&ismc, "StreamIndex") {
        let chunks: Vec<_> = stream.children().filter(|node| node.has_tag_name("c")).collect();
        ensure!(attribute(stream, "Chunks")?.parse::<usize>()? == chunks.len());
        let mut length = 0;
        for chunk in chunks {
            length += attribute(chunk, "d")?.parse::<u64>()?;
        }
        ensure!(length <= duration && duration - length < 1_000_000, "chunks of {length} in {duration}");
        let levels: Vec<_> = stream.children().filter(|node| node.has_tag_name("QualityLevel")).collect();
        ensure!(attribute(stream, "QualityLevels")?.parse::<usize>()? == levels.len());
        for level in levels {
            let (start, codec) =
                if attribute(stream, "Type")? == "video" { ("0000000167", "H264") } else { ("1190", "AACL") };
            ensure!(attribute(level, "FourCC")? == codec);
            ensure!(attribute(level, "CodecPrivateData")?.starts_with(start));
        }
    }
    Ok(())
}

#[test]
fn the_output_metadata_gives_the_sizes_of_the_files() -> Result<()> {
    let text = read("movie_manifest.xml")?;
    let described = Document::parse(&text)?;
    let mut total = 0;
    for file in elements(&described, "AssetFile") {
        let size = std::fs::metadata(media(attribute(file, "Name")?))?.len();
        ensure!(attribute(file, "Size")?.parse::<u64>()? == size);
        total += size;
    }
    ensure!(elements(&described, "AssetFile").count() == 3 && total < 600_000, "{total} bytes");
    Ok(())
}
