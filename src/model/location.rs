//! Where packaged streams lie: a container, or a folder in it.

use std::fmt;

/// The longest folder, in characters: a blob's name has 1024 at most (Azure Blob REST, "Naming and referencing containers,
/// blobs, and metadata"), and those in the folder, and our marker that is named after it, need some of them.
const LONGEST_PREFIX: usize = 800;

/// A container of blob storage, or a folder in it. Written as `container` or `container/folder/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    container: String,
    prefix: Option<String>,
}

impl Location {
    /// Takes a container's name and, for a part of it, the folder: with or without slashes around it.
    ///
    /// # Errors
    /// What is wrong with them, for who sent them: the member and the problem.
    pub fn new(container: &str, prefix: Option<&str>) -> Result<Self, (&'static str, &'static str)> {
        if !is_container(container) {
            let problem = "is not the name of a container: 3 to 63 lower-case letters, digits and single hyphens";
            return Err(("container", problem));
        }
        let prefix = prefix.unwrap_or_default().trim_matches('/');
        if prefix.is_empty() {
            return Ok(Self { container: container.to_owned(), prefix: None });
        }
        let is_odd = |part: &str| matches!(part, "" | "." | "..");
        if prefix.split('/').any(is_odd) || prefix.contains(|c: char| c.is_control() || c == '\\') {
            return Err(("prefix", "is not a folder: write its name as films/2026/"));
        }
        if prefix.chars().count() > LONGEST_PREFIX {
            return Err(("prefix", "has more than 800 characters"));
        }
        Ok(Self { container: container.to_owned(), prefix: Some(format!("{prefix}/")) })
    }

    /// Reads `container` or `container/folder/`; `None` for what is no location, such as an asset's id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (container, prefix) = text.split_once('/').unwrap_or((text, ""));
        Self::new(container, Some(prefix)).ok()
    }

    /// The container's name.
    #[must_use]
    pub fn container(&self) -> &str {
        &self.container
    }

    /// The folder, with a slash at its end and none at its begin; `None`: the whole container.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// What people call it: the last folder, or the container.
    #[must_use]
    pub fn name(&self) -> &str {
        let folder = self.prefix.as_deref().and_then(|prefix| prefix.trim_end_matches('/').rsplit('/').next());
        folder.unwrap_or(&self.container)
    }

    /// Whether a blob of this container is a part of it.
    #[must_use]
    pub fn holds(&self, blob: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| blob.starts_with(prefix))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.container),
            None => f.write_str(&self.container),
        }
    }
}

/// The rule of Azure Storage; its own containers (`$web`, `$logs`) hold no streams.
fn is_container(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_same_however_its_slashes_are_written() {
        for prefix in ["films/a", "films/a/", "/films/a/", "//films/a//"] {
            let location = Location::new("vod", Some(prefix)).unwrap();
            assert_eq!(location.to_string(), "vod/films/a/", "{prefix}");
            assert_eq!(Location::parse(&location.to_string()), Some(location.clone()));
            assert_eq!(location.name(), "a");
            assert!(location.holds("films/a/b.ts") && !location.holds("films/ab.ts"));
        }
        for prefix in [None, Some(""), Some("/")] {
            let whole = Location::new("vod", prefix).unwrap();
            assert_eq!((whole.to_string().as_str(), whole.prefix(), whole.name()), ("vod", None, "vod"));
            assert_eq!(Location::parse("vod"), Some(whole));
        }
    }

    #[test]
    fn what_storage_could_not_hold_is_refused() {
        for container in ["", "ab", "Vod", "vod_1", "-vod", "vod-", "v--d", "$web", "nb:cid:UUID:1", &"a".repeat(64)] {
            assert_eq!(Location::new(container, None).unwrap_err().0, "container", "{container}");
        }
        for prefix in ["a/../b", "./a", "a//b", "a\nb", "a\\b", &"a".repeat(801)] {
            assert_eq!(Location::new("vod", Some(prefix)).unwrap_err().0, "prefix", "{prefix}");
        }
        assert_eq!(Location::parse("nb:cid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21"), None);
    }
}
