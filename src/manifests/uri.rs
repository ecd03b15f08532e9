//! Where an address in a manifest leads, as a path beside the manifest's own.

use percent_encoding::percent_decode_str;

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file of the same container, by its name: decoded, with `..` resolved, without query.
    Inside(String),
    /// Another place, with scheme and host.
    Absolute(String),
    /// A place from the root of whatever host serves it.
    FromRoot(String),
    /// Above the container, or no path at all.
    Outside(String),
    /// The bytes themselves (`data:`).
    Inline,
    /// Not known before variables are filled in (`EXT-X-DEFINE`, RFC 8216bis, section 4.3).
    Variables(String),
}

impl Target {
    /// The name or address itself.
    pub fn text(&self) -> &str {
        match self {
            Self::Inside(text)
            | Self::Absolute(text)
            | Self::FromRoot(text)
            | Self::Outside(text)
            | Self::Variables(text) => text,
            Self::Inline => "",
        }
    }

    /// Follows `address` from the file at `path` (RFC 3986, section 5).
    pub fn resolve(path: &str, address: &str) -> Self {
        let address = address.trim();
        if address.contains("{$") {
            return Self::Variables(address.to_owned());
        }
        if let Some(scheme) = scheme(address) {
            return if scheme.eq_ignore_ascii_case("data") { Self::Inline } else { Self::Absolute(address.to_owned()) };
        }
        if address.starts_with("//") {
            return Self::Absolute(address.to_owned());
        }
        if address.starts_with('/') {
            return Self::FromRoot(address.to_owned());
        }
        let bare = address.split(['?', '#']).next().unwrap_or_default();
        let outside = || Self::Outside(address.to_owned());
        let Ok(bare) = percent_decode_str(bare).decode_utf8() else { return outside() };
        // An address without a path is the manifest itself.
        if bare.is_empty() {
            return Self::Inside(path.to_owned());
        }
        let mut parts: Vec<&str> = path.split('/').collect();
        parts.pop();
        for part in bare.split('/') {
            match part {
                "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return outside();
                    }
                }
                part => parts.push(part),
            }
        }
        let name = parts.join("/");
        if name.is_empty() { outside() } else { Self::Inside(name) }
    }
}

fn scheme(address: &str) -> Option<&str> {
    let (scheme, _) = address.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    is_scheme.then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_followed_from_the_manifest() {
        let inside = |name: &str| Target::Inside(name.to_owned());
        for (path, address, name) in [
            ("a/b/main.m3u8", "seg%201.ts?x=1#t=2", "a/b/seg 1.ts"),
            ("a/b/main.m3u8", "./c/../d.ts", "a/b/d.ts"),
            ("a/b/main.m3u8", "../../d.ts", "d.ts"),
            ("main.m3u8", " d.ts ", "d.ts"),
            ("main.m3u8", "a:b/c.ts?no-scheme", "a:b/c.ts"),
            ("a/main.m3u8", "?only=query", "a/main.m3u8"),
        ] {
            let target = Target::resolve(path, address);
            if address.starts_with("a:") {
                assert_eq!(target, Target::Absolute(address.into()), "{address}");
            } else {
                assert_eq!(target, inside(name), "{address}");
            }
        }
    }

    #[test]
    fn what_leads_elsewhere_is_told_apart() {
        let resolve = |address: &str| Target::resolve("a/main.m3u8", address);
        assert_eq!(resolve("https://west.example/a.ts"), Target::Absolute("https://west.example/a.ts".into()));
        assert_eq!(resolve("//west.example/a.ts"), Target::Absolute("//west.example/a.ts".into()));
        assert_eq!(resolve("/films/a.ts"), Target::FromRoot("/films/a.ts".into()));
        assert_eq!(resolve("../../a.ts"), Target::Outside("../../a.ts".into()));
        assert_eq!(resolve("%ff.ts"), Target::Outside("%ff.ts".into()));
        assert_eq!(resolve("data:text/plain;base64,QQ=="), Target::Inline);
        assert_eq!(resolve("{$base}/a.ts"), Target::Variables("{$base}/a.ts".into()));
    }
}
