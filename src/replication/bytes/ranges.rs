//! Which ranges of which files are compared: known by the files alone, so that every worker takes the same.

use std::ops::Range;

use crate::model::{Blob, ComparedBytes};

/// So much of a file is read by one request.
const PIECE_BYTES: u64 = 8 * 1024 * 1024;
/// A sample takes so many files.
const SAMPLE_FILES: u64 = 64;
/// And so much of each, three times.
const SAMPLE_BYTES: u64 = 256 * 1024;

/// What is compared of an asset's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Everything.
    All,
    /// The beginning, the end and a part in between, of every so many files.
    Sample {
        /// One file of so many.
        every: u64,
        /// The number of the first one; also tells which part in between.
        seed: u64,
    },
}

impl Choice {
    /// By the settings, for an asset of so many files; `None`: nothing. `seed` is another one in another state of the asset.
    pub fn of(compared: ComparedBytes, files: u64, seed: u64) -> Option<Self> {
        match compared {
            ComparedBytes::None => None,
            ComparedBytes::Sample => Some(Self::Sample { every: files.div_ceil(SAMPLE_FILES).max(1), seed }),
            ComparedBytes::All => Some(Self::All),
        }
    }

    /// Range `nth` of the file with this number; `None` after its last one.
    pub fn range(self, file: u64, blob: &Blob, nth: u64) -> Option<Range<u64>> {
        let size = blob.size_bytes;
        match self {
            Self::All => {
                let begin = nth.checked_mul(PIECE_BYTES).filter(|&begin| begin < size)?;
                Some(begin..size.min(begin + PIECE_BYTES))
            }
            Self::Sample { every, seed } if file % every != seed % every => None,
            Self::Sample { .. } if size <= 3 * SAMPLE_BYTES => (nth == 0 && size > 0).then_some(0..size),
            Self::Sample { seed, .. } => {
                let between = size - 3 * SAMPLE_BYTES + 1;
                let begin = match nth {
                    0 => 0,
                    // another place in each file
                    1 => SAMPLE_BYTES + seed.rotate_left((file % 64) as u32) % between,
                    2 => size - SAMPLE_BYTES,
                    _ => return None,
                };
                Some(begin..begin + SAMPLE_BYTES)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(choice: Choice, file: u64, size_bytes: u64) -> Vec<(u64, u64)> {
        let blob = Blob::sample("a", size_bytes);
        (0..).map_while(|nth| choice.range(file, &blob, nth)).map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn all_is_every_byte_once() {
        for size in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 100 * PIECE_BYTES + 7] {
            let mut end = 0;
            for range in ranges(Choice::All, 5, size) {
                assert!(range.0 == end && range.1 > end && range.1 - end <= PIECE_BYTES, "{size}: {range:?}");
                end = range.1;
            }
            assert_eq!(end, size);
        }
    }

    #[test]
    fn a_sample_has_both_ends_and_another_part_of_each_file() {
        let choice = Choice::of(ComparedBytes::Sample, 10, 0x9e37_79b9_7f4a_7c15).unwrap();
        assert_eq!(ranges(choice, 0, 0), []);
        assert_eq!(ranges(choice, 0, 1), [(0, 1)]);
        assert_eq!(ranges(choice, 0, 3 * SAMPLE_BYTES), [(0, 3 * SAMPLE_BYTES)]);
        let size = 1 << 40;
        let mut between = Vec::new();
        for file in 0..10 {
            let [begin, middle, end] = ranges(choice, file, size).try_into().unwrap();
            assert_eq!((begin, end), ((0, SAMPLE_BYTES), (size - SAMPLE_BYTES, size)));
            assert!(middle.0 >= SAMPLE_BYTES && middle.1 <= size - SAMPLE_BYTES, "{middle:?}");
            between.push(middle.0);
        }
        between.sort_unstable();
        between.dedup();
        assert_eq!(between.len(), 10);
        assert_eq!(ranges(choice, 3, 3 * SAMPLE_BYTES + 1)[1], (SAMPLE_BYTES, 2 * SAMPLE_BYTES));
    }

    #[test]
    fn a_sample_is_of_64_files_at_most_and_of_others_in_another_state() {
        let taken = |files, seed| {
            let choice = Choice::of(ComparedBytes::Sample, files, seed).unwrap();
            (0..files).filter(|&file| !ranges(choice, file, 10).is_empty()).collect::<Vec<_>>()
        };
        assert_eq!([1, 64, 65, 50_000].map(|files| taken(files, 0).len()), [1, 64, 33, 64]);
        assert_ne!(taken(50_000, 0), taken(50_000, 1));
        assert_eq!(Choice::of(ComparedBytes::None, 10, 0), None);
    }
}
