//! Streaming locators ("origin locators" in AMS v2): the published address of an asset, its id and its validity.

use std::fmt;

use time::OffsetDateTime;
use uuid::Uuid;

/// The GUID of a streaming locator: the first segment of every path that players use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocatorId(pub Uuid);

impl LocatorId {
    /// Reads a GUID, with or without the prefix `nb:lid:UUID:`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const PREFIX: &str = "nb:lid:uuid:";
        let lower = text.to_ascii_lowercase();
        Uuid::parse_str(lower.strip_prefix(PREFIX).unwrap_or(&lower)).ok().map(Self)
    }

    /// The form that AMS v2 wants on the wire: the prefix and a lower-case GUID (contract ams-v2, section 4.2).
    #[must_use]
    pub fn to_ams_v2(self) -> String {
        format!("nb:lid:UUID:{}", self.0)
    }
}

impl fmt::Display for LocatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The published address of an asset at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamingLocator {
    /// Its id; equal on both sites, so that paths are equal.
    pub id: LocatorId,
    /// The asset it publishes.
    pub asset_id: String,
    /// Before this time the origin answers 404. `None`: valid since it was made.
    pub start: Option<OffsetDateTime>,
    /// From this time on the origin answers 410.
    pub expires: OffsetDateTime,
    /// The service's own idea of its public address, ending in the id and a slash.
    pub path: String,
    /// The name its owner gave it.
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_every_form_and_written_in_one() {
        let guid = "0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
        for text in [guid.to_owned(), guid.to_uppercase(), format!("nb:lid:UUID:{guid}"), format!("NB:LID:uuid:{guid}")]
        {
            assert_eq!(LocatorId::parse(&text).unwrap().to_ams_v2(), format!("nb:lid:UUID:{guid}"), "{text}");
        }
        assert_eq!(LocatorId::parse("nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21"), None);
    }
}
