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

    /// Picks the flavour from `Accept`. The real service answers Atom when nothing is asked for; this one says 415.
    pub(crate) fn of_accept(headers: &HeaderMap) -> Result<Self, AmsError> {
        let accept = text_of(headers, header::ACCEPT);
        accept.split(',').find_map(Self::of_media_type).ok_or_else(|| {
            AmsError::new(
                415,
                format!(
                    "this emulator does not speak Atom: send 'Accept: application/json;odata=verbose', not '{accept}'"
                ),
            )
        })
    }

    /// The flavour of a request body. A missing type counts as light JSON.
    pub(crate) fn of_content(headers: &HeaderMap) -> Result<Self, AmsError> {
        let content_type = text_of(headers, header::CONTENT_TYPE);
        if content_type.is_empty() {
            return Ok(Self::Minimal);
        }
        Self::of_media_type(&content_type).ok_or_else(|| {
            AmsError::new(415, format!("this emulator reads JSON only: '{content_type}' is not supported"))
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
}
