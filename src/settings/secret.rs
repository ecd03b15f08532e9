//! Secrets as values that cannot be printed, given in the settings or in a file beside them.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is printed in place of a secret.
const REDACTED: &str = "[redacted]";

/// A secret: `Debug` and `Serialize` print `[redacted]`, and its memory is wiped when it goes.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret; blanks around it are trimmed, as people paste them.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(SecretString::from(text.trim().to_owned()))
    }

    /// The secret itself. Never format what this gives.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretFileError {
    /// Given twice.
    #[error("set either this key or the same key with `_file`, not both")]
    Both,
    /// The file cannot be read.
    #[error("file {0} cannot be read: {1}")]
    Unreadable(PathBuf, String),
}

/// The secret from `value` or from the file `file`; `None` when neither is given.
///
/// # Errors
/// When both are given, or the file cannot be read. The secret itself is never named.
pub fn resolve(value: Option<Secret>, file: Option<&PathBuf>) -> Result<Option<Secret>, SecretFileError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(SecretFileError::Both),
        (value, None) => Ok(value),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Secret::new(&text))),
            Err(error) => Err(SecretFileError::Unreadable(path.clone(), error.to_string())),
        },
    }
}
