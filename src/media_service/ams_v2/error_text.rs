//! Makes one short line out of an error body in any shape (contract ams-v2, section 5.1).

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::resource::encode;

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;

/// So many letters and digits of a secret in a row give it away.
const SHORTEST_PART: usize = 8;
const REDACTED: &str = "[redacted]";

/// What the body says, without tags and line breaks, at most 300 characters; empty when it says nothing. `secret` is struck
/// out, should the service quote it.
pub fn error_text(body: &[u8], secret: &str) -> String {
    let body = String::from_utf8_lossy(body);
    let text = serde_json::from_str::<Value>(&body).ok().and_then(|json| from_json(&json));
    // Before it is shortened, which could leave half of a secret.
    shorten(&strike(text.unwrap_or_else(|| without_tags(&body)), secret))
}

/// A service quotes what it was sent as it came (percent-encoded), decoded, or escaped in a way of its own, which leaves
/// runs of letters and digits as they are. Of an ACS token only the signature is secret (contract ams-v2, section 1.1).
fn strike(mut text: String, secret: &str) -> String {
    let decoded = percent_decode_str(secret).decode_utf8_lossy();
    for whole in [secret, &encode(secret), &decoded] {
        if !whole.is_empty() {
            text = text.replace(whole, REDACTED);
        }
    }
    for form in [secret, &decoded] {
        let part = form.rsplit_once("HMACSHA256=").map_or(form, |(_, signature)| signature);
        for part in part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| part.len() >= SHORTEST_PART) {
            text = text.replace(part, REDACTED);
        }
    }
    text
}

/// What a parser says, without the value that it quotes: what does not fit where it stands may be a token.
pub fn unquoted(text: &str) -> String {
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) => format!("{}...{}", &text[..=first], &text[last..]),
        _ => text.to_owned(),
    }
}

/// Verbose and light OData errors, and OAuth errors.
fn from_json(json: &Value) -> Option<String> {
    let error = json.get("error").or_else(|| json.get("odata.error"))?;
    let message = error.get("message");
    let texts = [
        message.and_then(|message| message.get("value")),
        message,
        json.get("error_description"),
        Some(error),
        error.get("code"),
    ];
    let said = texts.into_iter().flatten().filter_map(Value::as_str).find(|text| !text.trim().is_empty());
    said.map(str::to_owned)
}

/// XML errors and the HTML pages of gateways. The text of scripts, styles and OData codes is no message.
fn without_tags(body: &str) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some((before, tag_on)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let name: String = tag_on.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == ':').collect();
        let name = name.to_ascii_lowercase();
        let tag_end = tag_on.find('>').map_or(tag_on.len(), |at| at + 1);
        let is_empty = tag_on[..tag_end].ends_with("/>");
        rest = &tag_on[tag_end..];
        if !is_empty && matches!(name.as_str(), "script" | "style" | "code" | "m:code" | "m:innererror") {
            let close = format!("</{name}");
            let at = rest.to_ascii_lowercase().find(&close).unwrap_or(rest.len());
            rest = &rest[at..];
        }
    }
    text.push_str(rest);
    text
}

fn shorten(text: &str) -> String {
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{error_text, unquoted};

    #[test]
    fn every_shape_gives_one_line() {
        for (body, text) in [
            (r#"{"error":{"code":"","message":{"lang":"en-US","value":"Locator\r\n exists"}}}"#, "Locator exists"),
            (r#"{"odata.error":{"code":"","message":{"lang":"en-US","value":"busy"}}}"#, "busy"),
            (r#"{"error":"invalid_client","error_description":"ACS50012: no"}"#, "ACS50012: no"),
            (r#"{"error":"invalid_client"}"#, "invalid_client"),
            (r#"{"error":{"code":"Gone","message":"it is gone"}}"#, "it is gone"),
            (
                r#"<m:error xmlns:m="x"><m:code /><m:message xml:lang="en-US">Server is busy</m:message></m:error>"#,
                "Server is busy",
            ),
            (
                "<html><head><style>p {a:b}</style></head><body><h1>502</h1>Bad\nGateway</body></html>",
                "502 Bad Gateway",
            ),
            ("<html", ""),
            ("", ""),
            ("plain", "plain"),
        ] {
            assert_eq!(error_text(body.as_bytes(), ""), text, "{body}");
        }
        assert_eq!(error_text("ä".repeat(500).as_bytes(), "").chars().count(), 303);
        assert_eq!(error_text(&[0xff, 0xfe], ""), "\u{fffd}\u{fffd}");
    }
    #[test]
    fn a_secret_is_struck_out_however_it_is_quoted() {
        let (key, token) = ("QUJDREVGR0hJSktM+MNOPQRSTUVWXYZ/=", "a%3aAudience=x&HMACSHA256=QUJDREVGR0hJSktM%2bMN%3d");
        for (body, secret, text) in [
            ("no QUJDREVGR0hJSktM+MNOPQRSTUVWXYZ/=!", key, "no [redacted]!"),
            ("no QUJDREVGR0hJSktM%2BMNOPQRSTUVWXYZ%2F%3D!", key, "no [redacted]!"),
            ("no QUJDREVGR0hJSktM&#43;MNOPQRSTUVWXYZ&#47;=!", key, "no [redacted]&#43;[redacted]&#47;=!"),
            ("Bearer a%3aAudience=x&HMACSHA256=QUJDREVGR0hJSktM%2bMN%3d", token, "Bearer [redacted]"),
            ("Bearer a:Audience=x&HMACSHA256=QUJDREVGR0hJSktM+MN=", token, "Bearer [redacted]"),
            ("the Audience is wrong", token, "the Audience is wrong"),
        ] {
            assert_eq!(error_text(body.as_bytes(), secret), text);
        }
        let error = serde_json::from_str::<u8>("\"to\\\"ken\"").unwrap_err().to_string();
        assert_eq!(unquoted(&error), "invalid type: string \"...\", expected u8 at line 1 column 9");
        let cut = format!("{}{key}", "x".repeat(290));
        assert_eq!(error_text(cut.as_bytes(), key), format!("{}[redacted]", "x".repeat(290)));
    }
}
