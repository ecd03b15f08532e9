//! One entity: property values, links, and what a reader does not see of it yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::emulator::config::Lag;
use crate::emulator::odata::edm::Edm;
use crate::emulator::odata::schema::Set;

/// One entity of the emulated service, with its properties under their wire names.
#[derive(Debug, Clone)]
pub struct Entity {
    set: Set,
    /// Shared with the copies that readers are given, until it changes.
    values: Arc<BTreeMap<&'static str, Edm>>,
    links: BTreeMap<&'static str, Vec<String>>,
    hidden_from_reads: Hiding,
    hidden_from_streams: Hiding,
    hidden_from_storage: Hiding,
    stale: Option<Stale>,
}

/// Requests or time until something is seen.
#[derive(Debug, Clone, Default)]
struct Hiding {
    requests: u32,
    until: Option<Instant>,
}

/// What the next readers see instead of the truth.
#[derive(Debug, Clone)]
struct Stale {
    reads: u32,
    values: Vec<(&'static str, Edm)>,
}

impl Hiding {
    fn of(lag: Lag) -> Self {
        let until = (lag.milliseconds > 0).then(|| Instant::now() + Duration::from_millis(lag.milliseconds));
        Self { requests: lag.requests, until }
    }

    /// Counts one request and says whether it sees nothing.
    fn hides(&mut self) -> bool {
        if self.requests > 0 {
            self.requests -= 1;
            return true;
        }
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

impl Entity {
    /// An entity with nothing but its key and its times of creation.
    pub(crate) fn new(set: Set, key: String) -> Self {
        let mut entity = Self {
            set,
            values: Arc::default(),
            links: BTreeMap::new(),
            hidden_from_reads: Hiding::default(),
            hidden_from_streams: Hiding::default(),
            hidden_from_storage: Hiding::default(),
            stale: None,
        };
        Arc::make_mut(&mut entity.values).insert(set.schema().key(), Edm::Text(key));
        for name in ["Created", "LastModified"] {
            if set.schema().property(name).is_some() {
                entity.set(name, OffsetDateTime::now_utc());
            }
        }
        entity
    }

    pub(crate) const fn set_of(&self) -> Set {
        self.set
    }

    /// The key: the id, or the name where a set is keyed by name.
    pub fn key(&self) -> &str {
        self.text(self.set.schema().key()).unwrap_or_default()
    }

    /// A property's value; null when it is not set.
    pub fn value(&self, name: &str) -> &Edm {
        self.values.get(name).unwrap_or(&Edm::Null)
    }

    /// A text property.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Edm::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number property, of 32 or 64 bits.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Edm::Int32(number) => Some(i64::from(*number)),
            Edm::Int64(number) => Some(*number),
            _ => None,
        }
    }

    /// A fractional number property.
    pub fn double(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Edm::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// A flag; false when it is not set.
    pub fn flag(&self, name: &str) -> bool {
        *self.value(name) == Edm::Boolean(true)
    }

    /// A date property, in UTC.
    pub fn date(&self, name: &str) -> Option<OffsetDateTime> {
        match self.value(name) {
            Edm::DateTime(date) => Some(*date),
            _ => None,
        }
    }

    /// Sets a property, past every rule of the service.
    ///
    /// # Panics
    /// When the entity type has no property of this name: a mistake in the test.
    pub fn set(&mut self, name: &str, value: impl Into<Edm>) -> &mut Self {
        let property = self.set.schema().property(name);
        assert!(property.is_some(), "{:?} has no property '{name}': use the wire name", self.set);
        if let Some(property) = property {
            Arc::make_mut(&mut self.values).insert(property.name, value.into());
        }
        self
    }

    /// Marks the entity as changed now.
    pub(crate) fn touch(&mut self) {
        if self.set.schema().property("LastModified").is_some() {
            self.set("LastModified", OffsetDateTime::now_utc());
        }
    }

    /// The keys that a stored navigation points to.
    pub(crate) fn links(&self, navigation: &str) -> &[String] {
        self.links.get(navigation).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn link(&mut self, navigation: &'static str, key: String) {
        let keys = self.links.entry(navigation).or_default();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }

    pub(crate) fn unlink(&mut self, navigation: &str, key: &str) -> bool {
        let Some(keys) = self.links.get_mut(navigation) else { return false };
        let before = keys.len();
        keys.retain(|known| known != key);
        keys.len() < before
    }

    pub(crate) fn hide(&mut self, from_reads: Lag, from_streams: Lag) {
        self.hidden_from_reads = Hiding::of(from_reads);
        self.hidden_from_streams = Hiding::of(from_streams);
    }

    /// Lets the stored access policy of a SAS locator come late.
    pub(crate) fn hide_from_storage(&mut self, milliseconds: u64) {
        self.hidden_from_storage = Hiding::of(Lag::milliseconds(milliseconds));
    }

    /// Whether storage does not know a SAS locator yet.
    pub(crate) fn hides_from_storage(&self) -> bool {
        self.hidden_from_storage.clone().hides()
    }

    /// Shows `values` instead of the truth to the next `reads` readers.
    pub(crate) fn show_stale(&mut self, reads: u32, values: Vec<(&'static str, Edm)>) {
        self.stale = Some(Stale { reads, values });
    }

    /// What one reader sees of the entity; counts as a read.
    pub(crate) fn observe(&mut self) -> Option<Self> {
        if self.hidden_from_reads.hides() {
            return None;
        }
        let mut seen = self.clone();
        if let Some(stale) = self.stale.as_mut().filter(|stale| stale.reads > 0) {
            stale.reads -= 1;
            Arc::make_mut(&mut seen.values).extend(stale.values.iter().cloned());
        }
        Some(seen)
    }

    /// Whether a streaming request finds nothing yet; counts as one.
    pub(crate) fn hides_from_stream(&mut self) -> bool {
        self.hidden_from_streams.hides()
    }
}
