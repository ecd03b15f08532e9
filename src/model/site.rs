//! A site is one data centre as we see it; a route says which sites hold the replicas of which source.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a site: lower-case letters, digits and `_`, beginning with a letter, so that it survives as an
/// environment key and as a word of a routing key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(Box<str>);

impl SiteName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiteName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut letters = text.chars();
        let starts_well = letters.next().is_some_and(|c| c.is_ascii_lowercase());
        let goes_on_well = letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if starts_well && goes_on_well {
            Ok(Self(text.into()))
        } else {
            Err("a site name is lower-case letters, digits and '_', beginning with a letter".to_owned())
        }
    }
}

impl TryFrom<String> for SiteName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SiteName> for String {
    fn from(name: SiteName) -> Self {
        name.0.into()
    }
}

/// Where the assets of one source site are replicated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The site on which encoding finishes.
    pub source: SiteName,
    /// The sites that receive a replica, in the order of the settings.
    pub replicas: Vec<SiteName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_not_survive_as_keys_are_refused() {
        for good in ["west", "w", "west_2"] {
            assert!(good.parse::<SiteName>().is_ok(), "{good}");
        }
        for bad in ["", "West", "2west", "_west", "we.st", "we-st", "wést"] {
            assert!(bad.parse::<SiteName>().is_err(), "{bad}");
        }
    }
}
