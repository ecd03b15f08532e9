//! Tells how two containers differ, without reading bytes where contents are known to be the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::shared::Shared;
use super::state::blob::{Blob, Metadata};

/// So many differences are named; all are counted.
const NAMED: usize = 100;

/// A container of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The account's name.
    pub account: String,
    /// The container's name.
    pub container: String,
}

/// What to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// One side.
    pub left: Place,
    /// The other side.
    pub right: Place,
    /// Metadata that the right side may have beyond the left side's.
    #[serde(default)]
    pub ignored_metadata: Vec<String>,
}

/// How two containers differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Blobs on the left side.
    pub left_blobs: u64,
    /// Blobs on the right side.
    pub right_blobs: u64,
    /// Bytes on the left side.
    pub left_bytes: u64,
    /// Bytes on the right side.
    pub right_bytes: u64,
    /// How many blobs are missing, too many, or not the same.
    pub count: u64,
    /// The first ones, each with what is different.
    pub named: Vec<String>,
}

impl Differences {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, name: &str, what: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{name}: {what}"));
        }
    }
}

impl Shared {
    /// Names, sizes, contents, MD5s, headers and metadata.
    pub(crate) fn compare(&self, comparison: &Comparison) -> Result<Differences, Refusal> {
        let (left, right) = (self.blobs(&comparison.left)?, self.blobs(&comparison.right)?);
        let mut differences = Differences::default();
        for blob in left.values() {
            (differences.left_blobs, differences.left_bytes) =
                (differences.left_blobs + 1, differences.left_bytes + blob.content.size());
        }
        for (name, blob) in &right {
            (differences.right_blobs, differences.right_bytes) =
                (differences.right_blobs + 1, differences.right_bytes + blob.content.size());
            if !left.contains_key(name) {
                differences.add(name, "on the right side only");
            }
        }
        for (name, one) in &left {
            match right.get(name) {
                None => differences.add(name, "on the left side only"),
                Some(other) => {
                    let what = differ(one, other, &comparison.ignored_metadata);
                    if !what.is_empty() {
                        differences.add(name, &what.join(", "));
                    }
                }
            }
        }
        Ok(differences)
    }

    fn blobs(&self, place: &Place) -> Result<BTreeMap<Box<str>, Arc<Blob>>, Refusal> {
        self.account(&place.account)?.with(&place.container, |container| Ok(container.blobs.clone()))
    }
}

fn differ(one: &Blob, other: &Blob, ignored: &[String]) -> Vec<&'static str> {
    let is_known = |(name, _): &&(Box<str>, Box<str>)| !ignored.iter().any(|key| name.eq_ignore_ascii_case(key));
    let known = |metadata: &Metadata| metadata.iter().filter(is_known).cloned().collect::<Vec<_>>();
    let aspects = [
        ("size", one.content.size() != other.content.size()),
        ("content", one.content.size() == other.content.size() && !one.content.is_same(&other.content)),
        ("md5", one.md5 != other.md5),
        ("headers", one.properties != other.properties),
        ("metadata", known(&one.metadata) != known(&other.metadata)),
        ("copy still pending", other.is_pending()),
    ];
    aspects.into_iter().filter_map(|(what, is_different)| is_different.then_some(what)).collect()
}
