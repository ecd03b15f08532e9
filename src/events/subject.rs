//! What a message is about, for people who look at it: never fails, however broken the message is.

use super::incoming::parse;
use super::message::{Incoming, Parsed, fallback_id};
use crate::model::AssetRef;

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its id: AMQP's, else the SHA-256 of the body.
    pub id: String,
    /// The asset, or the encoding job or place that stands for it; absent where the message does not say.
    pub asset: Option<String>,
    /// Where it was encoded; absent where the message does not say.
    pub source: Option<String>,
}

/// Reads what it can.
#[must_use]
pub fn find_subject(message: &Incoming<'_>) -> Subject {
    let (asset, source) = match parse(message) {
        Ok(Parsed::Request(request)) => (Some(shown(request.asset)), request.site.map(|site| site.to_string())),
        _ => (None, None),
    };
    Subject { id: fallback_id(message), asset, source }
}

fn shown(asset: AssetRef) -> String {
    match asset {
        AssetRef::Id(id) | AssetRef::EncodingJob(id) => id,
        AssetRef::Name(name) => name,
        AssetRef::Location(location) => location.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(body: &str, id: Option<&str>) -> Subject {
        find_subject(&Incoming { body: body.as_bytes(), message_id: id, ..Incoming::default() })
    }

    #[test]
    fn a_readable_message_names_its_asset_and_any_message_has_an_id() {
        let job = "nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
        let found = subject(&format!(r#"{{"site":"west","asset":{{"job":{{"id":"{job}"}}}}}}"#), Some("m1"));
        assert_eq!(found, Subject { id: "m1".into(), asset: Some(job.into()), source: Some("west".into()) });
        let found = subject(r#"{"asset":{"location":{"container":"vod","prefix":"p/"}}}"#, Some("m1"));
        assert_eq!(found.asset.as_deref(), Some("vod/p/"));
        for (body, id) in [("{", None), ("{", Some(""))] {
            let found = subject(body, id);
            assert_eq!((found.asset, found.source), (None, None));
            assert!(found.id.starts_with("sha256-021fb596"), "{}", found.id);
        }
    }
}
