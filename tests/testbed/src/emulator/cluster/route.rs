//! From a path to the resource that it names.

use crate::emulator::odata::path::{self, Segment};
use crate::emulator::odata::schema::{Navigation, Property, Set};
use crate::emulator::state::AmsError;

/// What a path names.
#[derive(Debug)]
pub(super) enum Resource {
    /// The service document.
    Root,
    /// `$metadata`.
    Metadata,
    /// `$batch`.
    Batch,
    /// `Set`.
    Set(Set),
    /// A set that the emulator keeps nothing in.
    Empty(&'static str),
    /// `Set/$count`.
    Count(Set),
    /// `Set('key')`.
    Entity(Set, String),
    /// `Set('key')/Property`.
    Property(Set, String, &'static Property),
    /// `Set('key')/Navigation`.
    Navigation(Set, String, &'static Navigation),
    /// `Set('key')/Navigation/$count`.
    NavigationCount(Set, String, &'static Navigation),
    /// `Set('key')/$links/Navigation`, or with the key of one target.
    Links { set: Set, key: String, navigation: &'static Navigation, target: Option<String> },
    /// `StreamingEndpoints('key')/Start` and the like, `ContentKeys('key')/GetKeyDeliveryUrl`.
    Action { set: Set, key: String, name: String },
    /// A function of the service.
    Function(String),
}

/// The sets for live streaming, templates and bulk ingest: known, and always empty.
const ALWAYS_EMPTY: [&str; 9] = [
    "Channels",
    "EncodingReservedUnitTypes",
    "Filters",
    "IngestManifestAssets",
    "IngestManifestFiles",
    "IngestManifests",
    "JobTemplates",
    "Programs",
    "TaskTemplates",
];
const FUNCTIONS: [&str; 3] = ["CreateFileInfos", "CancelJob", "GetProtectionKeyId"];
const ACTIONS: [(Set, &str); 4] = [
    (Set::StreamingEndpoints, "Start"),
    (Set::StreamingEndpoints, "Stop"),
    (Set::StreamingEndpoints, "Scale"),
    (Set::ContentKeys, "GetKeyDeliveryUrl"),
];

/// Resolves a raw path; 404 when it names nothing.
pub(super) fn resolve(raw: &str) -> Result<Resource, AmsError> {
    let missing = || AmsError::not_found(format_args!("the path '{raw}'"));
    let segments = path::parse(raw).ok_or_else(missing)?;
    let Some((first, rest)) = segments.split_first() else { return Ok(Resource::Root) };
    if rest.is_empty() && first.key.is_none() {
        if first.name == "$metadata" {
            return Ok(Resource::Metadata);
        }
        if first.name == "$batch" {
            return Ok(Resource::Batch);
        }
        if FUNCTIONS.contains(&first.name.as_str()) {
            return Ok(Resource::Function(first.name.clone()));
        }
        if let Some(name) = ALWAYS_EMPTY.into_iter().find(|name| *name == first.name) {
            return Ok(Resource::Empty(name));
        }
    }
    let set = Set::named(&first.name).ok_or_else(missing)?;
    match (&first.key, rest) {
        (None, []) => Ok(Resource::Set(set)),
        (None, [count]) if count.name == "$count" => Ok(Resource::Count(set)),
        (None, _) => Err(missing()),
        (Some(key), rest) => resolve_below(set, key, rest).ok_or_else(missing),
    }
}

fn resolve_below(set: Set, key: &str, rest: &[Segment]) -> Option<Resource> {
    let schema = set.schema();
    let key = key.to_owned();
    match rest {
        [] => Some(Resource::Entity(set, key)),
        [links, last] if links.name == "$links" => {
            let navigation = schema.navigation(&last.name)?;
            Some(Resource::Links { set, key, navigation, target: last.key.clone() })
        }
        [only] if only.key.is_none() => {
            if let Some(navigation) = schema.navigation(&only.name) {
                return Some(Resource::Navigation(set, key, navigation));
            }
            if ACTIONS.contains(&(set, only.name.as_str())) {
                return Some(Resource::Action { set, key, name: only.name.clone() });
            }
            Some(Resource::Property(set, key, schema.property(&only.name)?))
        }
        [only] => schema
            .navigation(&only.name)
            .and_then(|navigation| only.key.clone().map(|key| (navigation.target, key)))
            .map(|(set, key)| Resource::Entity(set, key)),
        [only, count] if count.name == "$count" => {
            schema.navigation(&only.name).map(|navigation| Resource::NavigationCount(set, key, navigation))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves() {
        assert!(matches!(resolve("/api/"), Ok(Resource::Root)));
        assert!(matches!(resolve("/api/Assets()"), Ok(Resource::Set(Set::Assets))));
        assert!(matches!(resolve("/api/Assets/$count"), Ok(Resource::Count(Set::Assets))));
        assert!(matches!(resolve("/api/Channels()"), Ok(Resource::Empty("Channels"))));
        assert!(matches!(resolve("/api//CreateFileInfos"), Ok(Resource::Function(_))));
        assert!(matches!(resolve("/api/Jobs('a')/State"), Ok(Resource::Property(Set::Jobs, ..))));
        assert!(matches!(resolve("/api/Jobs('a')/OutputMediaAssets()"), Ok(Resource::Navigation(Set::Jobs, ..))));
        assert!(matches!(resolve("/api/Assets('a')/Files('b')"), Ok(Resource::Entity(Set::Files, _))));
        assert!(matches!(resolve("/api/StreamingEndpoints('a')/Start"), Ok(Resource::Action { .. })));
        assert!(matches!(
            resolve("/api/Assets('a')/$links/ContentKeys('b')"),
            Ok(Resource::Links { target: Some(_), .. })
        ));
        for path in ["/api/Colours", "/Assets", "/api/Assets('a')/Colour", "/api/Assets/Files"] {
            assert_eq!(resolve(path).map_err(|error| error.status).err(), Some(404), "{path}");
        }
    }
}
