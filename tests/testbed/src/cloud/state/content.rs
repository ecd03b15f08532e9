//! What a blob holds, without holding it: a rope of uploaded bytes, computed patterns and slices of other blobs.

use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest as _, Md5};

/// Contents are computed and handed out in pieces of this size.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A blob's content. Clones and slices share what it is made of, so that copies cost nothing.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pieces: Arc<[Piece]>,
    size: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    origin: Origin,
    start: u64,
    size: u64,
}

#[derive(Clone, Debug)]
enum Origin {
    Bytes(Bytes),
    /// Pseudo-random bytes: byte `n` depends on the seed and on `n` alone.
    Pattern(u64),
}

impl Piece {
    /// The next piece as part of this one, when it goes on where this one ends.
    fn takes(&mut self, next: &Self) -> bool {
        let is_same = match (&self.origin, &next.origin) {
            (Origin::Pattern(one), Origin::Pattern(other)) => one == other,
            (Origin::Bytes(one), Origin::Bytes(other)) => one.as_ptr() == other.as_ptr() && one.len() == other.len(),
            _ => false,
        };
        let goes_on = is_same && self.start + self.size == next.start;
        if goes_on {
            self.size += next.size;
        }
        goes_on
    }

    fn read(&self, first: u64, size: u64) -> Bytes {
        let first = self.start + first;
        match &self.origin {
            Origin::Bytes(bytes) => bytes.slice(index(first)..index(first + size)),
            Origin::Pattern(seed) => pattern(*seed, first, size),
        }
    }
}

impl Content {
    pub(crate) fn empty() -> Self {
        Self { pieces: Arc::new([]), size: 0 }
    }

    pub(crate) fn bytes(bytes: Bytes) -> Self {
        let size = bytes.len() as u64;
        Self::of(vec![Piece { origin: Origin::Bytes(bytes), start: 0, size }])
    }

    /// `size` pseudo-random bytes.
    pub(crate) fn pattern(seed: u64, size: u64) -> Self {
        Self::of(vec![Piece { origin: Origin::Pattern(seed), start: 0, size }])
    }

    /// One after the other. What was cut apart grows together again.
    pub(crate) fn concat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in parts.into_iter().flat_map(|part| part.pieces.iter()) {
            if !pieces.last_mut().is_some_and(|last| last.takes(piece)) {
                pieces.push(piece.clone());
            }
        }
        Self::of(pieces)
    }

    fn of(mut pieces: Vec<Piece>) -> Self {
        pieces.retain(|piece| piece.size > 0);
        let size = pieces.iter().map(|piece| piece.size).sum();
        Self { pieces: pieces.into(), size }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The part that starts at `first`; what lies behind the end is left out.
    pub(crate) fn slice(&self, first: u64, size: u64) -> Self {
        let (mut skip, mut left) = (first, size.min(self.size.saturating_sub(first)));
        let mut pieces = Vec::new();
        for piece in self.pieces.iter() {
            if left == 0 {
                break;
            }
            if skip >= piece.size {
                skip -= piece.size;
                continue;
            }
            let taken = left.min(piece.size - skip);
            pieces.push(Piece { origin: piece.origin.clone(), start: piece.start + skip, size: taken });
            (skip, left) = (0, left - taken);
        }
        Self::of(pieces)
    }

    /// The next bytes from `first` on: some, and none at the end.
    pub(crate) fn chunk(&self, first: u64) -> Bytes {
        let mut skip = first;
        for piece in self.pieces.iter() {
            if skip < piece.size {
                return piece.read(skip, CHUNK_BYTES.min(piece.size - skip));
            }
            skip -= piece.size;
        }
        Bytes::new()
    }

    pub(crate) fn md5(&self) -> [u8; 16] {
        let mut hash = Md5::new();
        self.hash_into(&mut hash);
        hash.finalize().into()
    }

    pub(crate) fn hash_into(&self, hash: &mut Md5) {
        let mut first = 0;
        while first < self.size {
            let chunk = self.chunk(first);
            hash.update(&chunk);
            first += chunk.len() as u64;
        }
    }

    /// Whether both hold the same bytes. Cheap where both are made of the same things.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        if self.size != other.size {
            return false;
        }
        let mut pairs = self.pieces.iter().zip(other.pieces.iter());
        let alike = self.pieces.len() == other.pieces.len()
            && pairs.all(|(one, other)| {
                let origin = match (&one.origin, &other.origin) {
                    (Origin::Pattern(one), Origin::Pattern(other)) => one == other,
                    (Origin::Bytes(one), Origin::Bytes(other)) => one.as_ptr() == other.as_ptr() && !one.is_empty(),
                    _ => false,
                };
                origin && (one.start, one.size) == (other.start, other.size)
            });
        alike || self.has_bytes_of(other)
    }

    fn has_bytes_of(&self, other: &Self) -> bool {
        let mut first = 0;
        while first < self.size {
            let (one, two) = (self.chunk(first), other.chunk(first));
            let size = one.len().min(two.len());
            if one[..size] != two[..size] {
                return false;
            }
            first += size as u64;
        }
        true
    }

    /// The same with one byte changed; an empty one stays as it is.
    pub(crate) fn with_flipped_byte(&self, at: u64) -> Self {
        let Some(byte) = self.slice(at, 1).chunk(0).first().copied() else { return self.clone() };
        let flipped = Self::bytes(Bytes::from(vec![byte ^ 0x01]));
        Self::concat([&self.slice(0, at), &flipped, &self.slice(at + 1, self.size)])
    }
}

/// Sizes of contents in memory; on the 64-bit machines that this runs on nothing is lost.
fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

fn pattern(seed: u64, first: u64, size: u64) -> Bytes {
    let skip = first % 8;
    let words = (skip + size).div_ceil(8);
    let mut bytes = Vec::with_capacity(index(words * 8));
    for word in first / 8..first / 8 + words {
        bytes.extend_from_slice(&mix(seed, word).to_le_bytes());
    }
    Bytes::from(bytes).slice(index(skip)..index(skip + size))
}

/// SplitMix64, at any position of its sequence.
pub(crate) fn mix(seed: u64, position: u64) -> u64 {
    let mut word = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(content: &Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < content.size() {
            bytes.extend_from_slice(&content.chunk(bytes.len() as u64));
        }
        bytes
    }

    #[test]
    fn a_slice_of_a_pattern_holds_the_patterns_bytes() {
        let whole = Content::pattern(7, 1000);
        let bytes = all(&whole);
        assert_eq!(bytes.len(), 1000);
        for (first, size) in [(0, 1000), (3, 9), (8, 16), (999, 1), (5, 0)] {
            assert_eq!(all(&whole.slice(first, size)), bytes[first as usize..][..size as usize]);
        }
        assert_eq!(whole.slice(990, 100).size(), 10);
        assert_ne!(all(&Content::pattern(8, 1000)), bytes);
    }

    #[test]
    fn what_was_cut_apart_grows_together() {
        for whole in [Content::pattern(1, 100), Content::bytes(Bytes::from((0..100).collect::<Vec<u8>>()))] {
            let parts = [whole.slice(0, 33), whole.slice(33, 33), whole.slice(66, 34)];
            let again = Content::concat(&parts);
            assert_eq!(again.pieces.len(), 1);
            assert!(again.is_same(&whole));
            let mixed = Content::concat([&parts[1], &parts[0], &parts[2]]);
            assert!(!mixed.is_same(&whole));
            assert_eq!(all(&mixed)[..33], all(&whole)[33..66]);
        }
    }

    #[test]
    fn equal_bytes_are_equal_however_they_are_held() {
        let whole = Content::pattern(1, 600_000);
        let bytes = Content::bytes(Bytes::from(all(&whole)));
        assert!(whole.is_same(&bytes));
        let flipped = whole.with_flipped_byte(300_000);
        assert_eq!(flipped.size(), whole.size());
        assert!(!flipped.is_same(&whole));
        assert!(flipped.with_flipped_byte(300_000).is_same(&bytes));
        assert_eq!(whole.md5(), bytes.md5());
        assert_ne!(whole.md5(), flipped.md5());
    }
}
