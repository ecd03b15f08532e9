//! Streaming URLs: built so that both sites differ in scheme, host, port and base path only.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::{Location, LocatorId};

/// How players get a stream (contract ams-v2, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Smooth Streaming 2.2.
    Smooth,
    /// HLS version 4.
    Hls,
    /// MPEG-DASH, CSF profile.
    Dash,
    /// A file that is played while it is loaded.
    Progressive,
}

impl Protocol {
    /// All protocols that a packager offers, in the order of the event.
    pub const PACKAGED: [Self; 3] = [Self::Smooth, Self::Hls, Self::Dash];

    /// The name used in events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Smooth => "smooth",
            Self::Hls => "hls",
            Self::Dash => "dash",
            Self::Progressive => "progressive",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Smooth | Self::Progressive => "",
            Self::Hls => "(format=m3u8-aapl)",
            Self::Dash => "(format=mpd-time-csf)",
        }
    }
}

/// One protocol's address on both sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamingUrl {
    /// The protocol.
    pub protocol: Protocol,
    /// The part both have in common, beginning with a slash.
    pub path: String,
    /// The full address at the source.
    pub source: Url,
    /// The full address at the replica.
    pub replica: Url,
}

/// All addresses of one replicated asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamingUrls {
    /// The directory that all files of the asset share: `/<locator id>/`.
    pub path_prefix: String,
    /// One address per protocol, Smooth first.
    pub urls: Vec<StreamingUrl>,
}

/// What stays literal in a path segment: RFC 3986 unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What stays literal in a path that a manifest names: also RFC 3986's sub-delimiters, `:` and `@`, as packagers' own
/// addresses have parentheses.
const PATH: &AsciiSet = &SEGMENT
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

impl StreamingUrls {
    /// Builds them from the two sites' base addresses (scheme, host, port, base path), one locator id and one manifest.
    ///
    /// # Errors
    /// When a base address cannot carry a path (a `mailto:` for instance); settings are checked before.
    pub fn build(source: &Url, replica: &Url, locator: LocatorId, manifest: &str) -> Result<Self, url::ParseError> {
        let path_prefix = format!("/{locator}/");
        let urls = Protocol::PACKAGED
            .into_iter()
            .map(|protocol| {
                let name = utf8_percent_encode(manifest, SEGMENT);
                let path = format!("{path_prefix}{name}/manifest{}", protocol.suffix());
                Ok(StreamingUrl { protocol, source: join(source, &path)?, replica: join(replica, &path)?, path })
            })
            .collect::<Result<_, url::ParseError>>()?;
        Ok(Self { path_prefix, urls })
    }

    /// Those of files that are served straight from their container, the first one being the one to be played.
    ///
    /// # Errors
    /// As [`StreamingUrls::build`].
    pub fn of_files(
        source: &Url,
        replica: &Url,
        location: &Location,
        files: &[(Protocol, String)],
    ) -> Result<Self, url::ParseError> {
        let path_of = |name: &str| format!("/{}/{}", location.container(), encode(name));
        let urls = files
            .iter()
            .map(|(protocol, name)| {
                let path = path_of(name);
                Ok(StreamingUrl {
                    protocol: *protocol,
                    source: join(source, &path)?,
                    replica: join(replica, &path)?,
                    path,
                })
            })
            .collect::<Result<_, url::ParseError>>()?;
        Ok(Self { path_prefix: path_of(location.prefix().unwrap_or_default()), urls })
    }
}

/// A path, with or without its first slash, as it is written in an address: each of its segments on its own.
#[must_use]
pub fn encode(path: &str) -> String {
    path.split('/').map(|segment| utf8_percent_encode(segment, PATH).to_string()).collect::<Vec<_>>().join("/")
}

/// The address of a path, which begins with a slash, at a site.
///
/// # Errors
/// When `base` cannot carry a path.
pub fn join(base: &Url, path: &str) -> Result<Url, url::ParseError> {
    Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sites_differ_in_scheme_host_port_and_base_path_only() {
        let locator = LocatorId::parse("0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21").unwrap();
        let west = Url::parse("https://west.streaming.example/").unwrap();
        let east = Url::parse("http://127.0.0.1:8080/base").unwrap();
        let made = StreamingUrls::build(&west, &east, locator, "Zoë 1.ism").unwrap();
        let hls = &made.urls[1];
        assert_eq!(hls.path, "/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/Zo%C3%AB%201.ism/manifest(format=m3u8-aapl)");
        assert_eq!(hls.source.as_str(), format!("https://west.streaming.example{}", hls.path));
        assert_eq!(hls.replica.as_str(), format!("http://127.0.0.1:8080/base{}", hls.path));
        assert!(made.urls.iter().all(|url| url.path.starts_with(&made.path_prefix)));
    }
}
