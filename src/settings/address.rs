//! Addresses as people paste them: completed where that is safe, refused where they cannot be understood. Pure.

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// The path of the ACS token door below its base (contract ams-v2, section 1.1).
const ACS_PATH: [&str; 2] = ["v2", "OAuth2-13"];
/// The last segment of the REST API's root, in any case (contract ams-v2, section 1.3).
const API_SEGMENT: &str = "api";

const NO_ADDRESS: &str = "is not an address: write it like https://host/";

type Address = Result<Url, &'static str>;

/// An http or https URL, the path without empty segments and with a slash at its end. Without a scheme it is https.
pub(super) fn parse(text: &str) -> Address {
    let text = text.trim();
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(NO_ADDRESS);
    }
    let lower = text.to_ascii_lowercase();
    let has_scheme = ["http:", "https:"].iter().any(|scheme| lower.starts_with(scheme));
    if !has_scheme && text.contains("://") {
        return Err("must begin with https:// or http://");
    }
    let whole = if has_scheme { text.to_owned() } else { format!("https://{}", text.trim_start_matches('/')) };
    let mut url = Url::parse(&whole).map_err(|_| NO_ADDRESS)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must be without user and password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or a fragment");
    }
    // A bare word is rather a name in the wrong place, and a scheme in place of the host one that was written twice.
    let host = url.host_str().unwrap_or_default();
    let is_bare_word = !has_scheme && !host.contains(['.', ':']) && url.port().is_none() && host != "localhost";
    if host.is_empty() || is_bare_word || matches!(host, "http" | "https") {
        return Err(NO_ADDRESS);
    }
    let segments: Vec<_> = segments(&url).map(str::to_owned).collect();
    set_path(&mut url, &segments, true);
    Ok(url)
}

/// The ACS token door: `/v2/OAuth2-13` is added unless it is there, compared in lower case.
pub(super) fn parse_acs(text: &str) -> Address {
    let mut url = parse(text)?;
    let mut path: Vec<String> = segments(&url).map(str::to_owned).collect();
    for expected in ACS_PATH.iter().rev() {
        if path.last().is_some_and(|last| last.eq_ignore_ascii_case(expected)) {
            path.pop();
        }
    }
    path.extend(ACS_PATH.map(str::to_owned));
    set_path(&mut url, &path, false);
    Ok(url)
}

/// The root of the REST API, or its front door: `/api/` is added unless it is there in any case.
pub(super) fn parse_api(text: &str) -> Address {
    let mut url = parse(text)?;
    let mut path: Vec<String> = segments(&url).map(str::to_owned).collect();
    match path.iter().position(|segment| segment.eq_ignore_ascii_case(API_SEGMENT)) {
        None => path.push(API_SEGMENT.to_owned()),
        Some(at) if at + 1 == path.len() => {}
        Some(_) => return Err("must end with /api/: leave out what comes after it"),
    }
    set_path(&mut url, &path, true);
    Ok(url)
}

/// An Entra authority, with or without the tenant; the token door's own path is cut off.
pub(super) fn parse_authority(text: &str) -> Address {
    let mut url = parse(text)?;
    let mut path: Vec<String> = segments(&url).map(str::to_owned).collect();
    // The portal shows the doors of both versions; the second takes no `resource`, so the first is always used.
    if let Some(at) = path.iter().position(|segment| segment.eq_ignore_ascii_case("oauth2")) {
        path.truncate(at);
    }
    set_path(&mut url, &path, true);
    Ok(url)
}

/// Entra's token door of version 1 for a tenant, which `authority` may name as its last segment (contract ams-v2,
/// section 1.2).
pub(super) fn entra_token_url(authority: &Url, tenant: &str) -> Url {
    let mut url = authority.clone();
    let mut path: Vec<String> = segments(authority).map(str::to_owned).collect();
    if path.last().is_none_or(|last| !last.eq_ignore_ascii_case(tenant)) {
        path.push(tenant.to_owned());
    }
    path.extend(["oauth2".to_owned(), "token".to_owned()]);
    set_path(&mut url, &path, false);
    url
}

fn segments(url: &Url) -> impl Iterator<Item = &str> {
    url.path().split('/').filter(|segment| !segment.is_empty())
}

fn set_path(url: &mut Url, segments: &[String], slash: bool) {
    let end = if slash && !segments.is_empty() { "/" } else { "" };
    url.set_path(&format!("/{}{end}", segments.join("/")));
}

/// For `deserialize_with`: the text of a key, read by one of the functions above.
macro_rules! reader {
    ($name:ident, $parse:ident) => {
        pub(super) fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
            $parse(&String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
        }
    };
}

reader!(any, parse);
reader!(acs, parse_acs);
reader!(api, parse_api);
reader!(authority, parse_authority);

#[cfg(test)]
mod tests {
    use super::*;

    fn all(parse: fn(&str) -> Address, cases: &[(&str, &str)]) {
        for (given, expected) in cases {
            assert_eq!(parse(given).as_ref().map(Url::as_str), Ok(*expected), "{given}");
        }
    }

    #[test]
    fn what_people_paste_is_completed() {
        all(
            parse,
            &[
                ("  https://h.example ", "https://h.example/"),
                ("h.example", "https://h.example/"),
                ("//h.example//", "https://h.example/"),
                ("HTTP://H.example/a//b", "http://h.example/a/b/"),
                ("localhost:8080/x", "https://localhost:8080/x/"),
                ("https:h.example", "https://h.example/"),
                ("[::1]:9", "https://[::1]:9/"),
            ],
        );
        all(
            parse_acs,
            &[
                ("https://acs.example", "https://acs.example/v2/OAuth2-13"),
                ("acs.example/", "https://acs.example/v2/OAuth2-13"),
                ("https://acs.example//v2/", "https://acs.example/v2/OAuth2-13"),
                ("https://acs.example/V2/oauth2-13//", "https://acs.example/v2/OAuth2-13"),
                ("http://127.0.0.1:9/acs/", "http://127.0.0.1:9/acs/v2/OAuth2-13"),
            ],
        );
        all(
            parse_api,
            &[
                ("media.windows.net", "https://media.windows.net/api/"),
                ("https://media.windows.net/API", "https://media.windows.net/API/"),
                ("https://media.windows.net/Api//", "https://media.windows.net/Api/"),
                ("http://127.0.0.1:9/front", "http://127.0.0.1:9/front/api/"),
            ],
        );
        all(
            parse_authority,
            &[
                ("login.chinacloudapi.cn", "https://login.chinacloudapi.cn/"),
                ("https://login.example/t.example/oauth2/token", "https://login.example/t.example/"),
                ("https://login.example/t.example/oauth2/v2.0/token/", "https://login.example/t.example/"),
                ("https://login.example//t.example", "https://login.example/t.example/"),
            ],
        );
    }

    #[test]
    fn the_tenant_comes_once_before_the_token_door() {
        for authority in
            ["https://login.example", "https://login.example/T.example/", "login.example/t.example/oauth2/token"]
        {
            let url = entra_token_url(&parse_authority(authority).unwrap(), "t.example");
            assert_eq!(url.as_str().to_lowercase(), "https://login.example/t.example/oauth2/token");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in [
            "",
            "  ",
            "media example",
            "westmedia",
            "ftp://h.example",
            "https://",
            "https://https://h.example",
            "https://u:p@h.example",
            "https://h.example/?a=b",
            "https://h.example/#x",
            "h.example:port",
            "https://h.example:99999",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_api("https://h.example/api/Assets").is_err());
    }
}
