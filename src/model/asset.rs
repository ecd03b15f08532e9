//! Assets: how messages name them, how a media service knows them, and the mark by which we find our replicas again.

use time::OffsetDateTime;

use super::{Location, SiteName};

/// How a message names what was encoded. Contract: `events`, member `asset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssetRef {
    /// The asset's id (AMS v2, `nb:cid:UUID:...`).
    Id(String),
    /// The asset's name (AMS v3 shape).
    Name(String),
    /// Packaged streams in blob storage.
    Location(Location),
    /// All outputs of one encoding job (AMS v2, `nb:jid:UUID:...`).
    EncodingJob(String),
}

/// An asset as its media service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The service's id.
    pub id: String,
    /// The name given by its owner; need not be unique.
    pub name: String,
    /// The owner's own id for it, when there is one.
    pub alternate_id: Option<String>,
    /// The blob container that holds its files.
    pub container: String,
    /// How its stored files are encrypted; `None`: they are in the clear.
    pub static_encryption: Option<&'static str>,
    /// When the service made it.
    pub created: Option<OffsetDateTime>,
}

/// One registered file of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetFile {
    /// The service's id of this file.
    pub id: String,
    /// The blob's name.
    pub name: String,
    /// Size in bytes, as registered.
    pub size_bytes: u64,
    /// Whether players and jobs start from this file.
    pub is_primary: bool,
    /// MIME type, when the owner gave one.
    pub mime_type: Option<String>,
    /// Whether the file is statically encrypted.
    pub is_encrypted: bool,
}

/// The mark that our replica assets carry in `AlternateId`, by which a restarted worker finds them again.
///
/// Text: `stream-replicator/1 <source site> <source asset id>`, a newline, the source's own alternate id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetMark {
    /// The site that the asset was copied from.
    pub source: SiteName,
    /// The asset's id there.
    pub asset_id: String,
}

impl AssetMark {
    const PREFIX: &'static str = "stream-replicator/1 ";
    /// The longest `AlternateId`, in characters (contract ams-v2, section 3).
    const ALTERNATE_ID_MAX: usize = 4000;

    /// The beginning of every alternate id with this mark, newline included, so that one id is never the prefix of another.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}{} {}\n", Self::PREFIX, self.source, self.asset_id)
    }

    /// The whole alternate id of a replica: the mark, then as much of the source's own alternate id as fits.
    #[must_use]
    pub fn alternate_id(&self, of_source: Option<&str>) -> String {
        self.prefix().chars().chain(of_source.unwrap_or_default().chars()).take(Self::ALTERNATE_ID_MAX).collect()
    }

    /// Reads the mark out of an alternate id; `None` when it is not one of ours.
    #[must_use]
    pub fn parse(alternate_id: &str) -> Option<Self> {
        let first_line = alternate_id.lines().next()?;
        let (site, asset_id) = first_line.strip_prefix(Self::PREFIX)?.split_once(' ')?;
        Some(Self { source: site.parse().ok()?, asset_id: asset_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again_and_carries_the_owners_alternate_id() {
        let mark = AssetMark { source: "west".parse().unwrap(), asset_id: "nb:cid:UUID:1".into() };
        let text = mark.alternate_id(Some("cms 4711\nline two"));
        assert_eq!(text, "stream-replicator/1 west nb:cid:UUID:1\ncms 4711\nline two");
        assert!(text.starts_with(&mark.prefix()));
        assert_eq!(AssetMark::parse(&text), Some(mark));
    }

    #[test]
    fn other_peoples_alternate_ids_are_not_marks() {
        for text in ["", "4711", "stream-replicator/2 west x", "stream-replicator/1 WEST x", "stream-replicator/1 west"]
        {
            assert_eq!(AssetMark::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_alternate_id_never_passes_the_services_limit() {
        let mark = AssetMark { source: "west".parse().unwrap(), asset_id: "a".into() };
        assert_eq!(mark.alternate_id(Some(&"é".repeat(5000))).chars().count(), 4000);
    }
}
