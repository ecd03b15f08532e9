//! Fills containers with blobs of any number and size, without writing their bytes anywhere.

use std::sync::Arc;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::shared::Shared;
use super::state::Container;
use super::state::blob::{Blob, Metadata, Properties};
use super::state::content::{Content, mix};

/// Of blobs with an MD5, so many bytes at the end are each blob's own.
const OWN_BYTES: u64 = 16;

/// What to fill a container with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Whose container.
    pub account: String,
    /// It is made when it is not there.
    pub container: String,
    /// The blobs.
    pub files: Vec<Files>,
}

/// Some blobs that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Names are the prefix and a number of seven digits; the prefix alone where there is one blob.
    pub prefix: String,
    /// How many.
    pub count: u64,
    /// Bytes of each.
    pub size: u64,
    /// Whether they have a Content-MD5, the true one. Blobs of one group then differ in their last 16 bytes only, for their
    /// bytes must be hashed; without MD5 they differ in all.
    #[serde(default)]
    pub md5: bool,
    /// `application/octet-stream` without it.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Each one's metadata.
    #[serde(default)]
    pub metadata: std::collections::BTreeMap<String, String>,
}

impl Files {
    /// `count` blobs of `size` bytes, without MD5.
    #[must_use]
    pub fn new(prefix: &str, count: u64, size: u64) -> Self {
        Self { prefix: prefix.to_owned(), count, size, md5: false, content_type: None, metadata: Default::default() }
    }

    /// With their true MD5.
    #[must_use]
    pub fn with_md5(self) -> Self {
        Self { md5: true, ..self }
    }

    /// With this content type.
    #[must_use]
    pub fn of_type(self, content_type: &str) -> Self {
        Self { content_type: Some(content_type.to_owned()), ..self }
    }
}

impl Shared {
    /// Writes the blobs of a workload; the same one gives the same bytes every time.
    pub(crate) fn seed(&self, workload: &Workload) -> Result<(), Refusal> {
        let account = self.account(&workload.account)?;
        let mut containers = account.containers();
        let made = || Container::new(self.clock.stamp(), Arc::new([]));
        let container = containers.entry(workload.container.clone()).or_insert_with(made);
        for files in &workload.files {
            let properties = Arc::new(Properties {
                content_type: Some(files.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned())),
                ..Properties::default()
            });
            let metadata: Metadata =
                files.metadata.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
            let maker = Maker::new(&workload.container, files);
            for number in 0..files.count {
                let name = if files.count == 1 { files.prefix.clone() } else { format!("{}{number:07}", files.prefix) };
                let (content, md5) = maker.make(number);
                let mut blob = Blob::new(content, Arc::clone(&properties), Arc::clone(&metadata), self.clock.stamp());
                blob.md5 = md5;
                container.replace(&name, blob);
            }
        }
        Ok(())
    }
}

/// Makes the contents of one group of blobs.
struct Maker {
    seed: u64,
    size: u64,
    /// What all have in common, and its hash, of blobs with an MD5.
    common: Option<(Content, Md5)>,
}

impl Maker {
    fn new(container: &str, files: &Files) -> Self {
        let letters = container.bytes().chain(files.prefix.bytes());
        let seed = letters.fold(files.size, |seed, letter| mix(seed, u64::from(letter)));
        let common = files.md5.then(|| {
            let content = Content::pattern(seed, files.size.saturating_sub(OWN_BYTES));
            let mut hash = Md5::new();
            content.hash_into(&mut hash);
            (content, hash)
        });
        Self { seed, size: files.size, common }
    }

    fn make(&self, number: u64) -> (Content, Option<[u8; 16]>) {
        let own = mix(self.seed, number + 1);
        let Some((common, hash)) = &self.common else { return (Content::pattern(own, self.size), None) };
        let (tail, mut hash) = (Content::pattern(own, self.size - common.size()), hash.clone());
        tail.hash_into(&mut hash);
        (Content::concat([common, &tail]), Some(hash.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_md5_is_that_of_the_bytes_and_no_two_blobs_are_alike() {
        for size in [0, 5, 16, 17, 300_000] {
            let maker = Maker::new("c", &Files::new("a/", 2, size).with_md5());
            let (one, md5) = maker.make(0);
            assert_eq!((one.size(), Some(one.md5())), (size, md5));
            assert_eq!(one.is_same(&maker.make(1).0), size == 0);
        }
        let maker = Maker::new("c", &Files::new("a/", 2, 1000));
        assert!(!maker.make(0).0.slice(0, 10).is_same(&maker.make(1).0.slice(0, 10)));
        assert_eq!(maker.make(0).1, None);
    }
}
