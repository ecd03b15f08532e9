//! How far both sites are compared beyond their listings: what is asked for, and how far it has come.

use serde::{Deserialize, Serialize};

/// Which bytes of a replica are compared with its source's, beside what listings tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComparedBytes {
    /// None.
    #[default]
    None,
    /// Some of some files.
    Sample,
    /// All of all files.
    All,
}

impl ComparedBytes {
    /// Its name in settings and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sample => "sample",
            Self::All => "all",
        }
    }
}

/// Of which segments both sites are asked how long they are, when streams are played to prove a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckedSegments {
    /// None.
    None,
    /// The first, the middle and the last one of each rendition.
    #[default]
    Sample,
    /// All.
    All,
}

impl CheckedSegments {
    /// Its name in settings and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sample => "sample",
            Self::All => "all",
        }
    }
}

/// How far a comparison of bytes, or of segments, has come, for the run that goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// Stands for what is compared: another value, another comparison.
    pub state: u64,
    /// The first so many ranges, or segments, are equal.
    pub ranges: u64,
}
