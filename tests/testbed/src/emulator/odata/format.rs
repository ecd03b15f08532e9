//! The three JSON flavours of a reply, and which one a request asked for.

use axum::http::{HeaderMap, header};

use crate::emulator::state::AmsError;

/// A JSON flavour (contract ams-v2 section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json;odata=verbose`: everything below `d`.
    Verbose,
    /// `application/json` or `;odata=minimalmetadata`.
    Minimal,
    /// `application/json;odata=nometadata`.
    Bare,
}

impl Format {
    /// The `Content-Type` of replies in this flavour.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Verbose => "application/json;odata=verbose;charset=utf-8",
            Self::Minimal => "application/json;odata=minimalmetadata;streaming=true;charset=utf-8",
            Self::Bare => "application/json;odata=nometadata;streaming=true;charset=utf-8",
        }
    }

    /// Picks the flavour from `Accept`. Who asks for anything (`*/*`) or nothing gets verbose JSON, where the real service
    /// answered Atom; who insists on Atom or XML is told that there is none.
    pub(crate) fn of_accept(headers: &HeaderMap) -> Result<Self, AmsError> {
        let accept = text_of(headers, header::ACCEPT);
        let ranges = || accept.split(',').map(str::trim);
        let light_is_known = !text_of(headers, MAX_VERSION).trim_start().starts_with(['1', '2']);
        match ranges().find_map(Self::of_media_type) {
            // light JSON came with version 3.0: an older client means verbose when it says `application/json`
            Some(Self::Minimal) if !light_is_known && !accept.contains("odata=") => Ok(Self::Verbose),
            Some(format) => Ok(format),
            None if accept.is_empty() || ranges().any(is_wildcard) => Ok(Self::Verbose),
            None => Err(AmsError::new(
                415,
                format!(
                    "this emulator answers JSON only, not Atom or XML: send 'Accept: application/json;odata=verbose', not '{accept}'"
                ),
            )),
        }
    }

    /// The flavour of a request body. A missing type counts as light JSON.
    pub(crate) fn of_content(headers: &HeaderMap) -> Result<Self, AmsError> {
        let content_type = text_of(headers, header::CONTENT_TYPE);
        if content_type.is_empty() {
            return Ok(Self::Minimal);
        }
        Self::of_media_type(&content_type).ok_or_else(|| {
            AmsError::new(
                415,
                format!("this emulator reads JSON only, not Atom or XML: '{content_type}' is not supported"),
            )
        })
    }

    fn of_media_type(media_type: &str) -> Option<Self> {
        let media_type = media_type.to_ascii_lowercase().replace(' ', "");
        let mut parts = media_type.split(';');
        if parts.next() != Some("application/json") {
            return None;
        }
        match parts.find_map(|part| part.strip_prefix("odata=")) {
            Some("verbose") => Some(Self::Verbose),
            Some("nometadata") => Some(Self::Bare),
            Some("minimalmetadata" | "fullmetadata") | None => Some(Self::Minimal),
            Some(_) => None,
        }
    }
}

/// Says which payload versions a client understands.
const MAX_VERSION: header::HeaderName = header::HeaderName::from_static("maxdataserviceversion");

/// `*/*` and `application/*`, whatever their parameters.
fn is_wildcard(range: &str) -> bool {
    let media_type = range.split(';').next().unwrap_or_default().trim();
    media_type == "*/*" || media_type.eq_ignore_ascii_case("application/*")
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_flavours() {
        assert_eq!(Format::of_media_type("application/json; odata=verbose"), Some(Format::Verbose));
        assert_eq!(Format::of_media_type("application/json;charset=utf-8"), Some(Format::Minimal));
        assert_eq!(Format::of_media_type("application/json;odata=nometadata"), Some(Format::Bare));
        assert_eq!(Format::of_media_type("application/atom+xml"), None);
        assert_eq!(Format::of_media_type("*/*"), None);
    }

    #[test]
    fn picks_what_is_asked_for() {
        let picked = |accept: Option<&'static str>, max_version: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(MAX_VERSION, max_version.parse().unwrap());
            headers.extend(accept.map(|accept| (header::ACCEPT, accept.parse().unwrap())));
            Format::of_accept(&headers).map_err(|error| error.status)
        };
        assert_eq!(picked(None, "3.0"), Ok(Format::Verbose));
        assert_eq!(picked(Some("*/*"), "3.0"), Ok(Format::Verbose));
        assert_eq!(picked(Some("text/html, */*; q=.2"), "3.0"), Ok(Format::Verbose));
        assert_eq!(picked(Some("application/json, text/plain, */*"), "3.0;NetFx"), Ok(Format::Minimal));
        assert_eq!(picked(Some("application/json"), "2.0;NetFx"), Ok(Format::Verbose));
        assert_eq!(picked(Some("application/json;odata=minimalmetadata"), "2.0"), Ok(Format::Minimal));
        assert_eq!(picked(Some("application/atom+xml,application/json;odata=verbose"), "3.0"), Ok(Format::Verbose));
        for refused in ["application/atom+xml", "application/atom+xml,application/xml", "application/xml", "text/html"]
        {
            assert_eq!(picked(Some(refused), "3.0"), Err(415), "{refused}");
        }
    }
}
