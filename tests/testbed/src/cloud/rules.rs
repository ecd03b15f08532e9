//! Things that go wrong with single blobs: copies that arrive damaged, sources that change in mid-copy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::call::Target;
use super::state::blob::{Blob, Properties};
use super::state::content::Content;

/// What becomes of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// One byte in the middle is another one.
    FlipByte,
    /// The last byte is missing.
    Truncate,
    /// No metadata arrives.
    DropMetadata,
    /// No content type arrives.
    DropContentType,
    /// No Content-MD5 arrives.
    DropMd5,
    /// A copy that the service makes in its own time ends as failed, with no bytes; others are spared.
    FailPending,
}

/// Damages what is written onto matching names: by a whole copy, or by a block list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corruption {
    /// The target's account.
    pub account: String,
    /// The target's container.
    pub container: String,
    /// The blob's name; a `*` stands for any letters.
    pub name: String,
    /// What happens to it.
    pub damage: Damage,
    /// How often; for ever without it.
    #[serde(default)]
    pub times: Option<u32>,
}

/// Gives a blob new content once so many copies, whole or of a block, have been made out of its container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overwrite {
    /// The source's account.
    pub account: String,
    /// The source's container.
    pub container: String,
    /// The blob's name.
    pub name: String,
    /// So many copies are made before, counted from when this was set.
    pub after_copies: u64,
    /// The new content's size in bytes; the old one's without it.
    #[serde(default)]
    pub size: Option<u64>,
}

/// All that are set.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    is_any: AtomicBool,
    set: Mutex<Set>,
}

#[derive(Debug, Default)]
struct Set {
    corruptions: Vec<Corruption>,
    overwrites: Vec<Overwrite>,
}

impl Rules {
    pub(crate) fn corrupt(&self, rule: Corruption) {
        self.set().corruptions.push(rule);
        self.is_any.store(true, Ordering::Relaxed);
    }

    pub(crate) fn overwrite(&self, rule: Overwrite) {
        self.set().overwrites.push(rule);
        self.is_any.store(true, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        *self.set() = Set::default();
        self.is_any.store(false, Ordering::Relaxed);
    }

    /// Damages a blob that a copy is about to become, where a rule says so.
    pub(crate) fn damage(&self, target: &Target, blob: &mut Blob) {
        self.each(target, |damage| damage != Damage::FailPending, |damage| damage.befall(blob));
    }

    /// Whether a copy that is pending is to fail.
    pub(crate) fn fails(&self, target: &Target) -> bool {
        let mut fails = false;
        self.each(target, |damage| damage == Damage::FailPending, |_| fails = true);
        fails
    }

    fn each(&self, target: &Target, is_wanted: impl Fn(Damage) -> bool, mut then: impl FnMut(Damage)) {
        if !self.is_any.load(Ordering::Relaxed) {
            return;
        }
        for rule in &mut self.set().corruptions {
            let is_meant = (&rule.account, &rule.container) == (&target.account, &target.container)
                && rule.times != Some(0)
                && is_wanted(rule.damage)
                && matches(&rule.name, &target.blob);
            if is_meant {
                rule.times = rule.times.map(|times| times - 1);
                then(rule.damage);
            }
        }
    }

    /// Counts a copy out of this source; gives the blobs that are to change now.
    pub(crate) fn copied(&self, source: &Target) -> Vec<Overwrite> {
        let mut due = Vec::new();
        if self.is_any.load(Ordering::Relaxed) {
            self.set().overwrites.retain_mut(|rule| {
                if (&rule.account, &rule.container) != (&source.account, &source.container) {
                    return true;
                }
                rule.after_copies = rule.after_copies.saturating_sub(1);
                if rule.after_copies == 0 {
                    due.push(rule.clone());
                }
                rule.after_copies > 0
            });
        }
        due
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Damage {
    fn befall(self, blob: &mut Blob) {
        let size = blob.content.size();
        match self {
            Self::FlipByte => blob.content = blob.content.with_flipped_byte(size / 2),
            Self::Truncate => blob.content = blob.content.slice(0, size.saturating_sub(1)),
            Self::DropMetadata => blob.metadata = Arc::new([]),
            Self::DropContentType => {
                let content_type = Some("application/octet-stream".to_owned());
                blob.properties = Arc::new(Properties { content_type, ..blob.properties.as_ref().clone() });
            }
            Self::DropMd5 => blob.md5 = None,
            Self::FailPending => blob.content = Content::empty(),
        }
    }
}

/// Whether a name is the one of a pattern in which `*` stands for any letters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name) in [("a.mp4", "a.mp4"), ("*", ""), ("*.mp4", "a/b.mp4"), ("a*b*c", "aXbYbZc"), ("a*", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a.mp4", "a.mp4x"), ("*.mp4", "a.mp3"), ("a*b*c", "acb"), ("ab*ba", "aba"), ("", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
