//! The text of a batch: multipart bodies, and the HTTP requests in them.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// One part of a batch.
#[derive(Debug)]
pub(super) enum Part {
    /// Writes that belong together.
    ChangeSet(Vec<Operation>),
    /// A single request.
    Single(Operation),
}

/// One request of a batch.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: String,
    /// The request's target as it was written: absolute, relative to the host or to the service root, or `$1/…`.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What later requests call the entity that this one creates, without the `$`.
    pub(super) content_id: Option<String>,
}

/// Reads the body of a batch; the error says what is wrong.
pub(super) fn parse(content_type: &str, body: &str) -> Result<Vec<Part>, String> {
    pieces(content_type, body)?
        .into_iter()
        .map(|piece| {
            let (headers, content) = split_head(piece);
            let headers = header_map(headers);
            match text_of(&headers, "content-type") {
                Some(inner) if is_multipart(inner) => {
                    let operations = pieces(inner, content)?.into_iter().map(operation);
                    operations.collect::<Result<_, _>>().map(Part::ChangeSet)
                }
                _ => operation(piece).map(Part::Single),
            }
        })
        .collect()
}

/// Whether a content type is `multipart/mixed`.
fn is_multipart(content_type: &str) -> bool {
    content_type.trim().to_ascii_lowercase().starts_with("multipart/mixed")
}

/// What stands between the boundaries.
fn pieces<'a>(content_type: &str, body: &'a str) -> Result<Vec<&'a str>, String> {
    let parameters = || content_type.split(';').map(str::trim);
    let boundary =
        parameters().find_map(|parameter| parameter.strip_prefix("boundary=")).map(|text| text.trim_matches('"'));
    let boundary = boundary.filter(|boundary| !boundary.is_empty() && is_multipart(content_type));
    let boundary = boundary.ok_or_else(|| format!("'{content_type}' is not multipart/mixed with a boundary"))?;
    let delimiter = format!("--{boundary}");
    let (inside, _) = body
        .rsplit_once(&format!("{delimiter}--"))
        .ok_or_else(|| format!("the boundary '{boundary}' is not closed"))?;
    Ok(inside.split(&delimiter).skip(1).map(|piece| piece.trim_start_matches([' ', '\t', '\r', '\n'])).collect())
}

/// `<MIME headers> <blank line> POST <target> HTTP/1.1 <headers> <blank line> <body>`.
fn operation(piece: &str) -> Result<Operation, String> {
    let (mime_headers, request) = split_head(piece);
    let (head, body) = split_head(request.trim_start());
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut words = line.split_whitespace();
    let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("'{}' is not the first line of a request", line.trim()));
    };
    let headers = header_map(headers);
    let id = |headers: &HeaderMap| text_of(headers, "content-id").map(|id| id.trim_matches(['<', '>']).to_owned());
    let content_id = id(&headers).or_else(|| id(&header_map(mime_headers)));
    let body = Bytes::copy_from_slice(body.trim_end_matches(['\r', '\n']).as_bytes());
    Ok(Operation { method: method.to_ascii_uppercase(), target: target.to_owned(), headers, body, content_id })
}

/// The lines before the first blank line, and the rest.
fn split_head(text: &str) -> (&str, &str) {
    let blank = ["\r\n\r\n", "\n\n"].into_iter().filter_map(|blank| text.find(blank).map(|at| (at, blank.len()))).min();
    blank.map_or((text, ""), |(at, length)| (&text[..at], &text[at + length..]))
}

fn header_map(lines: &str) -> HeaderMap {
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    pairs
        .filter_map(|(name, value)| {
            let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        })
        .collect()
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_change_set_and_a_query() {
        let body = "--b\r\nContent-Type: multipart/mixed; boundary=\"c\"\r\n\r\n--c\r\nContent-Type: application/http\r\n\
            Content-Transfer-Encoding: binary\r\n\r\nPOST https://host/api/Jobs HTTP/1.1\r\nContent-ID: 1\r\n\
            Content-Type: application/json\r\n\r\n{\"Name\":\"a\"}\r\n--c\nContent-Type: application/http\nContent-ID: <2>\n\n\
            POST $1/Tasks HTTP/1.1\nAccept: application/json\n\n{}\n--c--\r\n--b\r\nContent-Type: application/http\r\n\r\n\
            GET /api/Assets HTTP/1.1\r\n\r\n--b--\r\n";
        let parts = parse("multipart/mixed; boundary=b", body).unwrap();
        let [Part::ChangeSet(set), Part::Single(query)] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((set[0].method.as_str(), set[0].target.as_str()), ("POST", "https://host/api/Jobs"));
        assert_eq!((set[0].content_id.as_deref(), &set[0].body[..]), (Some("1"), &b"{\"Name\":\"a\"}"[..]));
        assert_eq!((set[1].content_id.as_deref(), set[1].target.as_str()), (Some("2"), "$1/Tasks"));
        assert_eq!(set[1].headers["accept"], "application/json");
        assert_eq!((query.method.as_str(), query.body.len()), ("GET", 0));
    }

    #[test]
    fn says_what_is_wrong() {
        for (content_type, body) in [
            ("application/json", "{}"),
            ("multipart/mixed", "--b--"),
            ("multipart/mixed; boundary=b", "--b\r\n\r\n"),
            ("multipart/mixed; boundary=b", "--b\r\nContent-Type: application/http\r\n\r\nGET\r\n--b--"),
        ] {
            assert!(parse(content_type, body).is_err(), "{content_type} {body}");
        }
    }
}
