//! What must be remembered of every file of an asset, in a few bytes each: names only as their hashes.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Stands for a name: half of its SHA-256.
type Key = [u8; 16];

fn key(name: &str) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&Sha256::digest(name)[..16]);
    key
}

/// Names with their sizes in bytes.
#[derive(Debug, Clone, Default)]
pub struct Sizes(HashMap<Key, u64>);

impl Sizes {
    pub fn insert(&mut self, name: &str, size_bytes: u64) {
        self.0.insert(key(name), size_bytes);
    }

    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(&key(name)).copied()
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(&key(name));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Names alone: 16 bytes each. Looked up once all of them are there.
#[derive(Debug, Default)]
pub struct Names(Vec<Key>);

impl Names {
    pub fn insert(&mut self, name: &str) {
        self.0.push(key(name));
    }

    /// No more of them will come.
    pub fn close(&mut self) {
        self.0.sort_unstable();
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.binary_search(&key(name)).is_ok()
    }
}

/// Names with their MIME types, of which there are only a few different ones.
#[derive(Debug, Default)]
pub struct MimeTypes {
    types: Vec<String>,
    of_names: HashMap<Key, usize>,
}

impl MimeTypes {
    pub fn insert(&mut self, name: &str, mime_type: &str) {
        let known = self.types.iter().position(|known| known == mime_type);
        let at = known.unwrap_or_else(|| {
            self.types.push(mime_type.to_owned());
            self.types.len() - 1
        });
        self.of_names.insert(key(name), at);
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.of_names.get(&key(name)).map(|at| self.types[*at].as_str())
    }
}
