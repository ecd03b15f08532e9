//! How one blob is copied, by its size and by how much else there is to do.

/// One MiB in bytes; all block sizes are whole MiB, so that a resumed copy meets few different ones.
const MIB: u64 = 1024 * 1024;
/// Up to this size one request is quicker than any two.
pub const SMALL_MAX_BYTES: u64 = 8 * MIB;
/// Larger ones never go as a whole: a copy runs at about 33 MB/s, so this one takes 8 s and is lost whole when it fails.
const WHOLE_MAX_BYTES: u64 = 256 * MIB;
/// What one copy gets done while another one is only begun: a synchronous copy costs 0.2 s and then a second for each 33 MB.
const BYTES_PER_START: u64 = 6 * MIB;
/// Largest block of Put Block From URL (Azure Blob REST, from version 2020-04-08 on).
const BLOCK_MAX_BYTES: u64 = 4000 * MIB;
/// Most blocks that one blob may be committed from (Azure Blob REST, "Put Block List").
pub const BLOCKS_MAX: u64 = 50_000;

/// The shortest blocks that are worth their start while there is other work for the slots, and the shortest of all.
const LEAST_BLOCK_BYTES: u64 = 8 * MIB;
const SHORTEST_BLOCK_BYTES: u64 = 4 * MIB;
/// Longer ones are lost for too long when they fail.
const LONGEST_BLOCK_BYTES: u64 = 256 * MIB;
/// A large blob is cut into about so many blocks.
const BLOCKS_WANTED: u64 = 256;

/// A way to copy a blob on the server side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// In one request.
    Whole,
    /// Put Block From URL for each block, then Put Block List.
    Blocks {
        /// Length of all blocks but the last.
        block_bytes: u64,
    },
}

/// What the choice depends on besides the blob's size.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// Blobs that could begin now, this one among them.
    pub ready_blobs: usize,
    /// Most requests at once.
    pub slots: usize,
    /// The service does not copy this one as a whole.
    pub is_only_in_blocks: bool,
    /// The route's cap in bytes per second.
    pub cap_bytes_per_second: Option<u64>,
}

impl Operation {
    /// Chooses for a blob of `size_bytes`. One request for a small one, and for one of middle size that is done before all
    /// that is ready has so much as begun; else blocks. Under a byte rate cap no request is larger than a second's worth, so
    /// that the bytes come as evenly as the cap wants them.
    #[must_use]
    pub fn choose(size_bytes: u64, now: Circumstances) -> Self {
        let at_once = now.cap_bytes_per_second.map_or(u64::MAX, |cap| (cap / MIB).max(1) * MIB);
        let rounds = u64::try_from(now.ready_blobs / now.slots.max(1)).unwrap_or(u64::MAX);
        let hidden = SMALL_MAX_BYTES.max(rounds.saturating_mul(BYTES_PER_START)).min(WHOLE_MAX_BYTES);
        if size_bytes <= hidden.min(at_once) && !now.is_only_in_blocks {
            return Self::Whole;
        }
        // Slots that would stay empty cost nothing, and half a block is there sooner.
        let has_slots_left = size_bytes.div_ceil(LEAST_BLOCK_BYTES) < share(now);
        let least = if has_slots_left { SHORTEST_BLOCK_BYTES } else { LEAST_BLOCK_BYTES };
        let block_bytes = whole_mib(size_bytes.div_ceil(BLOCKS_WANTED)).clamp(least, LONGEST_BLOCK_BYTES).min(at_once);
        let needed = whole_mib(size_bytes.div_ceil(BLOCKS_MAX)).min(BLOCK_MAX_BYTES);
        Self::Blocks { block_bytes: block_bytes.max(needed) }
    }
}

/// How many of the slots fall to each blob that is ready.
fn share(now: Circumstances) -> u64 {
    let slots = now.slots / now.ready_blobs.max(1);
    u64::try_from(slots).unwrap_or(u64::MAX).max(1)
}

fn whole_mib(bytes: u64) -> u64 {
    bytes.div_ceil(MIB).saturating_mul(MIB)
}

/// Requests of about one size, whose times may be compared: up to 1 MiB, and then each doubling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeClass(usize);

impl SizeClass {
    /// How many there are; the last one has no upper end.
    pub const COUNT: usize = 14;

    /// The class of a request that copies `bytes`.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        let doublings = bytes.div_ceil(MIB).next_power_of_two().trailing_zeros();
        Self((doublings as usize).min(Self::COUNT - 1))
    }

    /// Its place among all classes, from zero on.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: Circumstances =
        Circumstances { ready_blobs: 3200, slots: 64, is_only_in_blocks: false, cap_bytes_per_second: None };

    fn block_mib(size_bytes: u64, now: Circumstances) -> u64 {
        match Operation::choose(size_bytes, now) {
            Operation::Blocks { block_bytes } => {
                assert_eq!(block_bytes % MIB, 0);
                block_bytes / MIB
            }
            Operation::Whole => panic!("{size_bytes} bytes are copied as a whole"),
        }
    }

    #[test]
    fn one_request_while_other_blobs_fill_the_slots_for_longer() {
        for size in [0, 1, SMALL_MAX_BYTES, SMALL_MAX_BYTES + 1, WHOLE_MAX_BYTES] {
            assert_eq!(Operation::choose(size, MANY), Operation::Whole, "{size}");
        }
        assert_eq!(block_mib(WHOLE_MAX_BYTES + 1, MANY), 8);
        assert_eq!(block_mib(SMALL_MAX_BYTES, Circumstances { is_only_in_blocks: true, ..MANY }), 8);
        let few = Circumstances { ready_blobs: 640, ..MANY };
        assert_eq!(Operation::choose(60 * MIB, few), Operation::Whole);
        assert_eq!(block_mib(60 * MIB + 1, few), 8);
    }

    #[test]
    fn blocks_fill_the_slots_of_the_tail() {
        let tail = |ready_blobs| Circumstances { ready_blobs, ..MANY };
        assert_eq!(Operation::choose(SMALL_MAX_BYTES, tail(1)), Operation::Whole);
        assert_eq!([1, 4, 8, 20, 63, 64].map(|ready| block_mib(200 * MIB, tail(ready))), [4, 8, 8, 8, 8, 8]);
        assert_eq!(block_mib(SMALL_MAX_BYTES + 1, tail(1)), 4);
        assert_eq!(block_mib(200 * MIB, Circumstances { ready_blobs: 0, ..MANY }), 4);
        // not where the slots are full anyway
        assert_eq!([1, 2].map(|ready| block_mib(257 * MIB, tail(ready))), [4, 8]);
        assert_eq!(block_mib(600 * MIB, tail(1)), 8);
    }

    #[test]
    fn large_blobs_are_cut_into_256_blocks_as_far_as_the_limits_go() {
        let (gib, tib) = (1024 * MIB, 1024 * 1024 * MIB);
        let sizes = [gib, 4 * gib, 50 * gib, 64 * gib, 10 * tib, 100 * tib, 190 * tib];
        assert_eq!(sizes.map(|size| block_mib(size, MANY)), [8, 16, 200, 256, 256, 2098, 3985]);
        for size in sizes {
            assert!(size.div_ceil(block_mib(size, MANY) * MIB) <= BLOCKS_MAX);
        }
        assert_eq!(block_mib(u64::MAX, MANY), 4000);
    }

    #[test]
    fn no_request_is_larger_than_a_second_under_a_cap() {
        let capped = |mib: u64| Circumstances { cap_bytes_per_second: Some(mib * MIB), ..MANY };
        assert_eq!(Operation::choose(5 * MIB, capped(5)), Operation::Whole);
        assert_eq!(block_mib(5 * MIB + 1, capped(5)), 5);
        assert_eq!(block_mib(200 * MIB, capped(100)), 8);
        assert_eq!(block_mib(50 * 1024 * MIB, capped(100)), 100);
        // the service's limit on blocks counts for more
        assert_eq!(block_mib(50 * 1024 * MIB, capped(1)), 2);
        assert_eq!(block_mib(2 * MIB, Circumstances { cap_bytes_per_second: Some(0), ..MANY }), 1);
    }

    #[test]
    fn times_are_compared_within_a_doubling() {
        let of = |bytes| SizeClass::of(bytes).index();
        assert_eq!([0, 1, MIB].map(of), [0; 3]);
        assert_eq!([MIB + 1, 2 * MIB, 2 * MIB + 1, 8 * MIB, 256 * MIB].map(of), [1, 1, 2, 3, 8]);
        assert_eq!([5000 * MIB, u64::MAX].map(of), [SizeClass::COUNT - 1; 2]);
    }
}
