//! Makes one short line out of an error body in any shape (contract ams-v2, section 5.1).

use serde_json::Value;

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;

/// What the body says, without tags and line breaks, at most 300 characters; empty when it says nothing.
pub fn error_text(body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    let text = serde_json::from_str::<Value>(&body).ok().and_then(|json| from_json(&json));
    shorten(&text.unwrap_or_else(|| without_tags(&body)))
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
    use super::error_text;

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
            assert_eq!(error_text(body.as_bytes()), text, "{body}");
        }
        assert_eq!(error_text("ä".repeat(500).as_bytes()).chars().count(), 303);
        assert_eq!(error_text(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
    }
}
