//! Reads HLS playlists, DASH MPDs and Smooth Streaming manifests: which files they name, and what a player would see. Pure: bytes in, values out; what is
//! named is told one by one, so that a long manifest costs no memory beside its own text.

mod dash;
mod hls;
mod smooth;
mod text;
mod uri;

pub use text::decode;
pub use uri::Target;

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

/// No address is longer, in bytes: a blob's name has 1,024 characters at most, a signed address some thousands.
const LONGEST_ADDRESS: usize = 8 * 1024;

/// The names of all files together have no more bytes: a million of them with 128 each.
const MOST_NAME_BYTES: usize = 128 * 1024 * 1024;

/// No manifest names more: a film of ten hours in twenty renditions with segments of a second has 720,000.
const MOST_NAMED: u64 = 1_000_000;

/// What a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An HLS playlist that names others ("Multivariant Playlist", RFC 8216bis, section 4.4.6).
    HlsMaster,
    /// An HLS playlist that names segments ("Media Playlist", RFC 8216bis, section 4.4.3).
    HlsMedia,
    /// A DASH MPD (ISO/IEC 23009-1).
    Dash,
    /// A Smooth Streaming client manifest ([MS-SSTR], section 2.2.2). Packagers make it; no file in storage is one.
    Smooth,
}

/// What a named file is to the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Another playlist.
    Playlist,
    /// A piece of media, or the file that holds pieces.
    Segment,
    /// What comes before the first segment (`EXT-X-MAP`, `Initialization`).
    Initialization,
    /// Where the key of an encrypted stream is.
    Key,
    /// Anything else.
    Other,
}

/// One file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it is.
    pub role: Role,
    /// Where it is.
    pub target: Target,
    /// Which rendition it belongs to, as its place in [`Summary::renditions`].
    pub rendition: Option<usize>,
}

/// One choice that a player has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rendition {
    /// What tells it apart: an id, or a group and a name.
    pub name: String,
    /// Bits per second.
    pub bandwidth: Option<u64>,
    /// As RFC 6381 writes them.
    pub codecs: Option<String>,
    /// Width and height in pixels.
    pub resolution: Option<(u64, u64)>,
    /// How many segments are named.
    pub segments: u64,
    /// How long they are together, in seconds.
    pub seconds: f64,
}

/// What a player would see of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// What it is.
    pub kind: Kind,
    /// It says that nothing will be added: `EXT-X-ENDLIST`, or an MPD of type `static`. Always of a playlist of playlists.
    pub is_complete: bool,
    /// What it offers, in its order.
    pub renditions: Vec<Rendition>,
    /// Ids of keys, or where there are none, of key systems; never a key.
    pub protection: BTreeSet<String>,
}

/// Why bytes are no manifest that can be used. Each has a stable code.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Another encoding than its headers say, or none that is known.
    #[error("is compressed, and nothing says so: set its Content-Encoding to gzip")]
    Compressed,
    /// Its Content-Encoding is none that can be read here.
    #[error("has Content-Encoding '{0}': gzip and none can be read")]
    Encoding(String),
    /// Longer than any that is read, once it is no longer compressed.
    #[error("has more than {0} bytes")]
    TooLarge(usize),
    /// Neither UTF-8 nor UTF-16.
    #[error("is no text: {0}")]
    NoText(&'static str),
    /// It has a document type, which can make much of little.
    #[error("has a document type, which no manifest needs")]
    DocumentType,
    /// Not what its name says.
    #[error("{0}")]
    Malformed(String),
    /// Nothing can be played from it.
    #[error("names no media")]
    NamesNothing,
    /// More files than any stream has.
    #[error("names more than {MOST_NAMED} files")]
    NamesTooMuch,
    /// Short addresses made long by what is filled in.
    #[error("names files with addresses of more than {LONGEST_ADDRESS} bytes")]
    AddressTooLong,
    /// Variables in addresses (`EXT-X-DEFINE`).
    #[error("uses variables in the address '{0}'")]
    Variables(String),
}

impl Problem {
    /// The stable code of a failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Compressed | Self::Encoding(_) => "manifest-compressed",
            Self::TooLarge(_) => "manifest-too-large",
            Self::NoText(_) => "manifest-no-text",
            Self::DocumentType => "manifest-document-type",
            Self::Malformed(_) => "manifest-malformed",
            Self::NamesNothing => "manifest-names-nothing",
            Self::NamesTooMuch | Self::AddressTooLong => "manifest-names-too-much",
            Self::Variables(_) => "manifest-variables",
        }
    }
}

/// A manifest as text.
pub struct Manifest {
    path: String,
    text: String,
    form: Form,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Hls,
    Dash,
    Smooth,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Manifest({}, {} bytes)", self.path, self.text.len())
    }
}

impl Manifest {
    /// Whether a file is one, by its name and its Content-Type.
    #[must_use]
    pub fn is_one(path: &str, content_type: Option<&str>) -> bool {
        is_hls(path, content_type) || is_dash(path, content_type)
    }

    /// Takes the bytes of the file at `path`, with the encoding that its headers say.
    ///
    /// # Errors
    /// When they are no text.
    pub fn read(
        path: &str,
        content_type: Option<&str>,
        encoding: Option<&str>,
        bytes: Vec<u8>,
    ) -> Result<Self, Problem> {
        let text = text::decode(encoding, bytes)?;
        Ok(Self { path: path.to_owned(), text, form: form(path, content_type) })
    }

    /// What a player would see. All that is named is handed to `named`, which must be ready to get it again.
    ///
    /// # Errors
    /// When it is malformed, or asks for more than any stream needs.
    pub fn visit(&self, named: &mut dyn FnMut(Named)) -> Result<Summary, Problem> {
        let (mut count, mut bytes) = (0, 0_usize);
        let mut tell = |one: Named| {
            let length = one.target.text().len();
            count += 1;
            bytes = bytes.saturating_add(length);
            if count > MOST_NAMED || bytes > MOST_NAME_BYTES {
                return Err(Problem::NamesTooMuch);
            }
            if length > LONGEST_ADDRESS {
                return Err(Problem::AddressTooLong);
            }
            if let Target::Variables(address) = one.target {
                return Err(Problem::Variables(address));
            }
            named(one);
            Ok(())
        };
        let summary = match self.form {
            Form::Hls => hls::visit(&self.path, &self.text, &mut tell),
            Form::Dash => dash::visit(&self.path, &self.text, &mut tell),
            Form::Smooth => smooth::visit(&self.path, &self.text, &mut tell),
        }?;
        if count == 0 { Err(Problem::NamesNothing) } else { Ok(summary) }
    }
}

/// Takes what is named, or says that it is too much.
type Tell<'a> = dyn FnMut(Named) -> Result<(), Problem> + 'a;

fn ends_with(path: &str, ending: &str) -> bool {
    path.len() >= ending.len()
        && path.is_char_boundary(path.len() - ending.len())
        && path[path.len() - ending.len()..].eq_ignore_ascii_case(ending)
}

fn is_type(content_type: Option<&str>, types: &[&str]) -> bool {
    let essence = content_type.and_then(|all| all.split(';').next()).unwrap_or_default().trim();
    types.iter().any(|one| essence.eq_ignore_ascii_case(one))
}

fn form(path: &str, content_type: Option<&str>) -> Form {
    if is_dash(path, content_type) {
        Form::Dash
    } else if is_type(content_type, &["application/vnd.ms-sstr+xml"]) && !is_hls(path, content_type) {
        Form::Smooth
    } else {
        Form::Hls
    }
}

fn is_hls(path: &str, content_type: Option<&str>) -> bool {
    const TYPES: [&str; 3] = ["application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl"];
    ends_with(path, ".m3u8") || (is_type(content_type, &TYPES) && !ends_with(path, ".mpd"))
}

fn is_dash(path: &str, content_type: Option<&str>) -> bool {
    ends_with(path, ".mpd") || (is_type(content_type, &["application/dash+xml"]) && !ends_with(path, ".m3u8"))
}

#[cfg(test)]
mod tests;
