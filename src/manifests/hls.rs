//! HLS playlists (RFC 8216 and its successor draft-pantos-hls-rfc8216bis), line by line.

use std::collections::BTreeSet;

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::hls::Tag;
use quick_m3u8::tag::{KnownTag, UnknownTag};
use quick_m3u8::{HlsLine, Reader};

use super::uri::Target;
use super::{Kind, Named, Problem, Rendition, Role, Summary, Tell};

/// Longer than a line of any playlist, in bytes; a signed address has some thousands.
const LONGEST_LINE: usize = 64 * 1024;

/// What the lines so far have told.
struct Playlist<'a, 'tell> {
    path: &'a str,
    tell: &'a mut Tell<'tell>,
    /// The variant whose address is to come.
    variant: Option<Rendition>,
    /// The segment whose address is to come lasts so many seconds.
    segment: Option<f64>,
    is_master: bool,
    is_media: bool,
    is_complete: bool,
    renditions: Vec<Rendition>,
    protection: BTreeSet<String>,
}

/// Reads a playlist.
pub fn visit(path: &str, text: &str, tell: &mut Tell<'_>) -> Result<Summary, Problem> {
    let text = text.trim_start();
    if !text.starts_with("#EXTM3U") {
        return Err(malformed("does not begin with #EXTM3U"));
    }
    if text.lines().any(|line| line.len() > LONGEST_LINE) {
        return Err(malformed("has a line of more than 64 KiB"));
    }
    let mut playlist = Playlist {
        path,
        tell,
        variant: None,
        segment: None,
        is_master: false,
        is_media: false,
        is_complete: false,
        renditions: Vec::new(),
        protection: BTreeSet::new(),
    };
    let options = ParsingOptionsBuilder::new().with_parsing_for_all_tags().build();
    let mut reader = Reader::from_str(text, options);
    loop {
        match reader.read_line() {
            Ok(Some(line)) => playlist.take(line)?,
            Ok(None) => break,
            Err(error) => return Err(malformed(&format!("has a line that is no HLS: {error}"))),
        }
    }
    playlist.summary()
}

fn malformed(how: &str) -> Problem {
    Problem::Malformed(how.to_owned())
}

impl Playlist<'_, '_> {
    fn take(&mut self, line: HlsLine<'_>) -> Result<(), Problem> {
        match line {
            HlsLine::KnownTag(KnownTag::Hls(tag)) => self.tag(&tag),
            HlsLine::Uri(address) => self.address(address.trim()),
            HlsLine::UnknownTag(tag) => self.unknown(&tag),
            HlsLine::KnownTag(KnownTag::Custom(_)) | HlsLine::Comment(_) | HlsLine::Blank => Ok(()),
        }
    }

    fn tag(&mut self, tag: &Tag<'_>) -> Result<(), Problem> {
        match tag {
            Tag::StreamInf(stream) => {
                self.is_master = true;
                self.variant = Some(Rendition {
                    name: stream.stable_variant_id().unwrap_or_default().to_owned(),
                    bandwidth: Some(stream.bandwidth()),
                    codecs: stream.codecs().map(str::to_owned),
                    resolution: stream.resolution().map(|size| (size.width, size.height)),
                    ..Rendition::default()
                });
                Ok(())
            }
            Tag::IFrameStreamInf(stream) => {
                self.is_master = true;
                let rendition = Rendition {
                    name: "i-frames".to_owned(),
                    bandwidth: Some(stream.bandwidth()),
                    codecs: stream.codecs().map(str::to_owned),
                    resolution: stream.resolution().map(|size| (size.width, size.height)),
                    ..Rendition::default()
                };
                self.offer(rendition, stream.uri())
            }
            Tag::Media(media) => {
                self.is_master = true;
                // without an address it is in the variants themselves
                let Some(address) = media.uri() else { return Ok(()) };
                let name = format!("{} {}", media.group_id(), media.name());
                self.offer(Rendition { name, ..Rendition::default() }, address)
            }
            Tag::SessionKey(key) => self.key(key.uri(), key.keyformat()),
            Tag::SessionData(data) => match data.uri() {
                Some(address) => self.name(Role::Other, address, None),
                None => Ok(()),
            },
            Tag::Inf(segment) => {
                self.is_media = true;
                self.segment = Some(segment.duration());
                Ok(())
            }
            Tag::Targetduration(_) => {
                self.is_media = true;
                Ok(())
            }
            Tag::Endlist(_) => {
                self.is_complete = true;
                Ok(())
            }
            Tag::Map(map) => self.name(Role::Initialization, map.uri(), Some(0)),
            Tag::Part(part) => self.name(Role::Segment, part.uri(), Some(0)),
            Tag::Key(key) => match key.uri() {
                Some(address) => self.key(address, key.keyformat()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A tag that is known but not written as it must be is given as an unknown one; without its address a file would be
    /// overlooked.
    fn unknown(&self, tag: &UnknownTag<'_>) -> Result<(), Problem> {
        const WITH_ADDRESS: [&str; 8] = [
            "-X-STREAM-INF",
            "-X-I-FRAME-STREAM-INF",
            "-X-MEDIA",
            "-X-MAP",
            "-X-KEY",
            "-X-SESSION-KEY",
            "-X-PART",
            "INF",
        ];
        let is_needed = WITH_ADDRESS.contains(&tag.name());
        if is_needed { Err(malformed(&format!("has a wrong #EXT{}", tag.name()))) } else { Ok(()) }
    }

    fn address(&mut self, address: &str) -> Result<(), Problem> {
        if address.is_empty() {
            return Ok(());
        }
        if let Some(variant) = self.variant.take() {
            return self.offer(variant, address);
        }
        if self.is_master && !self.is_media {
            return Err(malformed("has an address without #EXT-X-STREAM-INF"));
        }
        self.is_media = true;
        let rendition = self.media();
        rendition.segments += 1;
        if let Some(seconds) = self.segment.take() {
            self.media().seconds += seconds;
        }
        self.name(Role::Segment, address, Some(0))
    }

    /// The one rendition of a media playlist.
    fn media(&mut self) -> &mut Rendition {
        if self.renditions.is_empty() {
            self.renditions.push(Rendition::default());
        }
        &mut self.renditions[0]
    }

    fn offer(&mut self, rendition: Rendition, address: &str) -> Result<(), Problem> {
        self.renditions.push(rendition);
        self.name(Role::Playlist, address, Some(self.renditions.len() - 1))
    }

    fn key(&mut self, address: &str, format: &str) -> Result<(), Problem> {
        self.protection.insert(format.to_owned());
        self.name(Role::Key, address, None)
    }

    fn name(&mut self, role: Role, address: &str, rendition: Option<usize>) -> Result<(), Problem> {
        (self.tell)(Named { role, target: Target::resolve(self.path, address), rendition })
    }

    fn summary(self) -> Result<Summary, Problem> {
        if self.variant.is_some() {
            return Err(malformed("ends after #EXT-X-STREAM-INF, without its address"));
        }
        let kind = match (self.is_master, self.is_media) {
            (true, true) => return Err(malformed("has tags of a master playlist and of a media playlist")),
            (true, false) => Kind::HlsMaster,
            (false, _) => Kind::HlsMedia,
        };
        let is_complete = self.is_complete || kind == Kind::HlsMaster;
        Ok(Summary { kind, is_complete, renditions: self.renditions, protection: self.protection })
    }
}
