//! Addresses of entities and queries, relative to the service's root (contract ams-v2, section 2.3).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays literal: RFC 3986 unreserved characters.
const LITERAL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, LITERAL).to_string()
}

/// An OData string literal: quotes around it, quotes inside doubled.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `Set('key')`, the key percent-encoded.
pub fn key(set: &str, key: &str) -> String {
    format!("{set}('{}')", encode(&key.replace('\'', "''")))
}

/// Adds query options; names as they are, values percent-encoded.
pub fn with_query(resource: &str, options: &[(&str, &str)]) -> String {
    let options: Vec<_> = options.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if options.is_empty() { resource.to_owned() } else { format!("{resource}?{}", options.join("&")) }
}

/// The fields of an HTML form, names and values percent-encoded.
pub fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    fields.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_literals_and_forms_are_escaped() {
        assert_eq!(key("Assets", "nb:cid:UUID:1"), "Assets('nb%3Acid%3AUUID%3A1')");
        assert_eq!(key("Assets", "o'x/y"), "Assets('o%27%27x%2Fy')");
        let filter = format!("Name eq {}", literal("o'x"));
        assert_eq!(with_query("Assets", &[("$filter", &filter)]), "Assets?$filter=Name%20eq%20%27o%27%27x%27");
        assert_eq!(form(&[("client_secret", "a+b/c= é")]), "client_secret=a%2Bb%2Fc%3D%20%C3%A9");
    }
}
