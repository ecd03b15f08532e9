//! A search for secrets in every form in which they may turn up.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A run of letters and digits of a secret as long as this gives it away, whatever is done to the characters between.
const PART: usize = 8;

/// Texts that must be nowhere, each with a name that can be shown.
#[derive(Default)]
pub struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// Adds a secret: as it is, percent-encoded and decoded, out of base64, and each of its longer parts.
    pub fn add(&mut self, name: &str, secret: &str) {
        let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
        let whole = [
            secret.to_owned(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
            decoded.clone(),
        ];
        for text in whole {
            self.push(name.to_owned(), text);
        }
        let derived = format!("{name}, decoded or in part");
        let out_of_base64 = BASE64_STANDARD.decode(secret).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(text) = out_of_base64 {
            self.push(derived.clone(), text);
        }
        // Tokens are made of names and values that are no secrets, but for the signature at the end.
        let secret_part = decoded.rsplit_once("HMACSHA256=").map_or(decoded.as_str(), |(_, signature)| signature);
        for part in secret_part.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| part.len() >= PART) {
            self.push(derived.clone(), part.to_owned());
        }
    }

    fn push(&mut self, name: String, text: String) {
        // Percent-encoding may be in either case.
        self.0.push((name, text.to_lowercase()));
    }

    /// The names of the secrets in a text, each once.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let lower = text.to_lowercase();
        let mut found: Vec<_> =
            self.0.iter().filter(|(_, secret)| lower.contains(secret.as_str())).map(|(name, _)| name.clone()).collect();
        for sign in ["sig=", "sig%3d", "bearer ", "hmacsha256=", "client_secret="] {
            let is_told = |rest: &str| !rest.starts_with("redacted") && !rest.starts_with("[redacted]");
            if lower.split(sign).skip(1).any(is_told) {
                found.push(sign.to_owned());
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// The lines with anything in them that was found, for whoever has to mend it.
    pub fn lines_with_any(&self, text: &str) -> String {
        let lines = text.lines().filter(|line| !self.found_in(line).is_empty());
        lines.map(|line| line.chars().take(600).collect::<String>()).take(5).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn the_search_finds_what_is_planted() {
    let mut secrets = Secrets::default();
    secrets.add("key", "c2VjcmV0IGtleSBvZiBhIHNpdGUgPj4+Pz8/");
    secrets.add("password", "hunter/2 & Kaninchen");
    secrets.add("token", "urn%3aAudience=x&HMACSHA256=QUJDREVGR0hJSktM%2bMN%3d");
    for (text, found) in [
        ("nothing to see: urn:Audience", &[][..]),
        ("key=c2VjcmV0IGtleSBvZiBhIHNpdGUgPj4+Pz8/,", &["key", "key, decoded or in part"]),
        ("k=c2VjcmV0IGtleSBvZiBhIHNpdGUgPj4%2BPz8%2F", &["key", "key, decoded or in part"]),
        ("k=c2VjcmV0IGtleSBvZiBhIHNpdGUgPj4%2bPz8%2f", &["key", "key, decoded or in part"]),
        ("k=c2VjcmV0IGtleSBvZiBhIHNpdGUgPj4&#43;Pz8&#47;", &["key, decoded or in part"]),
        ("the secret key of a site >>>???", &["key, decoded or in part"]),
        ("amqp://u:hunter%2F2%20%26%20Kaninchen@host", &["password", "password, decoded or in part"]),
        ("hunter/2 \\u0026 kaninchen", &["password, decoded or in part"]),
        ("http://store/c/b?sv=1&sig=abc", &["sig="]),
        ("http://store/c/b?sv=1&sig=REDACTED", &[]),
        ("Authorization: Bearer x", &["bearer "]),
        ("QUJDREVGR0hJSktM", &["token, decoded or in part"]),
    ] {
        assert_eq!(secrets.found_in(text), found, "{text}");
    }
}
