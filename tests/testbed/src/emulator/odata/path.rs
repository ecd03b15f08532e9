//! Resource paths: decoded once, slashes collapsed, sets with or without `()`, keys raw or encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// One segment of a resource path: `Assets`, `Assets()`, `Assets('key')`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The name before any parenthesis.
    pub(crate) name: String,
    /// The key, without quotes and with `''` undone.
    pub(crate) key: Option<String>,
}

/// Splits the raw path below the service root. `None` when the first segment is not `api` or a key is malformed
/// (contract ams-v2 section 2.3: old clients encode even the slashes).
pub(crate) fn parse(raw: &str) -> Option<Vec<Segment>> {
    let decoded = percent_decode_str(raw).decode_utf8().ok()?;
    let mut pieces = split_outside_quotes(&decoded).into_iter();
    if !pieces.next()?.eq_ignore_ascii_case("api") {
        return None;
    }
    pieces.map(parse_segment).collect()
}

/// The key as it stands in an entity's URL: percent-encoded, as captured from the service.
pub(crate) fn encode_key(key: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(&key.replace('\'', "''"), KEPT).to_string()
}

/// Takes the key out of an entity URL such as `https://host/api/Assets('nb%3Acid…')`.
pub(crate) fn key_of_url(url: &str) -> Option<Segment> {
    let decoded = percent_decode_str(url).decode_utf8().ok()?;
    let last = split_outside_quotes(&decoded).pop()?;
    parse_segment(last).filter(|segment| segment.key.is_some())
}

fn split_outside_quotes(path: &str) -> Vec<&str> {
    let mut quoted = false;
    path.split(|character| {
        quoted ^= character == '\'';
        character == '/' && !quoted
    })
    .filter(|piece| !piece.is_empty())
    .collect()
}

fn parse_segment(piece: &str) -> Option<Segment> {
    let Some((name, rest)) = piece.split_once('(') else {
        return Some(Segment { name: piece.to_owned(), key: None });
    };
    let inner = rest.strip_suffix(')')?;
    if inner.is_empty() {
        return Some(Segment { name: name.to_owned(), key: None });
    }
    let inner = inner.strip_prefix("guid").unwrap_or(inner);
    let key = inner.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'");
    Some(Segment { name: name.to_owned(), key: Some(key) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(name: &str, key: Option<&str>) -> Segment {
        Segment { name: name.to_owned(), key: key.map(str::to_owned) }
    }

    #[test]
    fn routes_what_old_clients_send() {
        let key = Some("nb:cid:UUID:1");
        let entity = vec![segment("Files", key)];
        for path in [
            "/api/Files('nb:cid:UUID:1')",
            "/API/Files('nb%3Acid%3aUUID:1')",
            "/API%2FFiles%28%27nb%3Acid%3AUUID%3A1%27%29",
            "/api/%2FFiles%28%27nb%3Acid%3AUUID%3A1%27%29",
            "//api//Files('nb:cid:UUID:1')/",
        ] {
            assert_eq!(parse(path), Some(entity.clone()), "{path}");
        }
        assert_eq!(parse("/api/Assets()"), Some(vec![segment("Assets", None)]));
        assert_eq!(parse("/api/"), Some(vec![]));
        assert_eq!(
            parse("/api/Assets('a')/$links/ContentKeys('b''c')"),
            Some(vec![segment("Assets", Some("a")), segment("$links", None), segment("ContentKeys", Some("b'c"))])
        );
        assert_eq!(parse("/other/Assets"), None);
        assert_eq!(parse("/api/Assets('a"), None);
    }

    #[test]
    fn keys_survive_the_way_there_and_back() {
        let url = format!("http://127.0.0.1:1/api/Assets('{}')", encode_key("nb:cid:UUID:1"));
        assert!(url.contains("nb%3Acid%3AUUID%3A1"));
        assert_eq!(key_of_url(&url), Some(segment("Assets", Some("nb:cid:UUID:1"))));
    }
}
