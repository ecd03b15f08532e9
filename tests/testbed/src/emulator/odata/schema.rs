//! The entity sets: their properties, who may write them, and their navigation (contract ams-v2 section 3).

use super::edm::Kind;

/// An entity set that the emulator serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the wire names")]
pub enum Set {
    AccessPolicies,
    AssetDeliveryPolicies,
    AssetFilters,
    Assets,
    ContentKeyAuthorizationPolicies,
    ContentKeyAuthorizationPolicyOptions,
    ContentKeys,
    Files,
    Jobs,
    Locators,
    MediaProcessors,
    NotificationEndPoints,
    Operations,
    StorageAccounts,
    StreamingEndpoints,
    Tasks,
}

/// Who may write a property, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Set by the service; ignored in a creation, since .NET posts every property.
    Service,
    /// Given at creation and fixed from then on.
    Once,
    /// Given at creation, else the creation is refused; fixed from then on.
    OnceRequired,
    /// Given at creation, else the creation is refused; may change.
    Required,
    /// May be written at any time.
    Free,
}

/// One property of an entity.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
}

/// One navigation of an entity.
#[derive(Debug)]
pub(crate) struct Navigation {
    pub(crate) name: &'static str,
    pub(crate) target: Set,
    pub(crate) many: bool,
}

/// What the emulator knows of an entity set.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The name of the set, as in URLs.
    pub(crate) name: &'static str,
    /// The name of one entity's type, without the namespace.
    pub(crate) type_name: &'static str,
    /// The prefix of generated ids, `nb:cid:UUID:` and the like; empty where the key is a plain name.
    pub(crate) prefix: &'static str,
    pub(crate) properties: &'static [Property],
    pub(crate) navigations: &'static [Navigation],
}

impl Schema {
    /// The name of the key property.
    pub(crate) const fn key(&self) -> &'static str {
        if self.prefix.is_empty() { "Name" } else { "Id" }
    }

    pub(crate) fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    pub(crate) fn navigation(&self, name: &str) -> Option<&'static Navigation> {
        self.navigations.iter().find(|navigation| navigation.name == name)
    }

    /// The longest text that a property may hold, in characters, where the service had a limit.
    pub(crate) fn longest(&self, property: &str) -> Option<usize> {
        match (self.name, property) {
            ("Assets", "Name") => Some(512),
            ("Files", "Name") => Some(260),
            ("StreamingEndpoints", "Name") => Some(32),
            ("StreamingEndpoints", "Description") => Some(256),
            ("Assets", "AlternateId") | ("Files", "MimeType") | ("Locators" | "Jobs", "Name") => Some(4000),
            ("Tasks", "Configuration") => Some(100_000),
            _ => None,
        }
    }

    /// Whether a payload of this type is DataServiceVersion 3.0 even in verbose JSON.
    pub(crate) fn has_collection(&self) -> bool {
        self.properties.iter().any(|property| matches!(property.kind, Kind::Collection(_)))
    }
}

impl Set {
    /// Every set, in the order of the service document.
    pub(crate) const ALL: [Self; 16] = [
        Self::AccessPolicies,
        Self::AssetDeliveryPolicies,
        Self::AssetFilters,
        Self::Assets,
        Self::ContentKeyAuthorizationPolicies,
        Self::ContentKeyAuthorizationPolicyOptions,
        Self::ContentKeys,
        Self::Files,
        Self::Jobs,
        Self::Locators,
        Self::MediaProcessors,
        Self::NotificationEndPoints,
        Self::Operations,
        Self::StorageAccounts,
        Self::StreamingEndpoints,
        Self::Tasks,
    ];

    /// The set with this name in a URL.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.schema().name == name)
    }

    /// The set's properties and navigation.
    pub(crate) fn schema(self) -> &'static Schema {
        super::tables::schema_of(self)
    }
}
