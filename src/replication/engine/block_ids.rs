//! Names the blocks of a copy so that whoever goes on with it knows which of them are staged already.

use std::collections::BTreeSet;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::blob_store::{Block, StagedBlock};

/// Bytes of the digest in an id; as many as tell two versions of a blob apart.
const DIGEST_BYTES: usize = 16;
/// Digits of the index: any number of blocks that fits into `u64` sizes of one MiB.
const INDEX_DIGITS: usize = 10;

/// The blocks of one version of a source blob, cut into a given length. All of an id follows from that, so a second
/// worker names the same blocks in the same way, and blocks of another version or length are never taken for ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockPlan {
    prefix: String,
    size_bytes: u64,
    block_bytes: u64,
}

/// What is left of a copy that was begun before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Bytes in blocks that need no second copy.
    pub staged_bytes: u64,
    /// The blocks that are left, in order.
    pub left: Vec<Block>,
}

impl BlockPlan {
    /// Cuts a blob of `size_bytes` in the version `etag` into blocks of `block_bytes`, but for the last.
    #[must_use]
    pub fn new(etag: &str, size_bytes: u64, block_bytes: u64) -> Self {
        let block_bytes = block_bytes.max(1);
        let digest = Sha256::new()
            .chain_update(size_bytes.to_be_bytes())
            .chain_update(block_bytes.to_be_bytes())
            .chain_update(etag)
            .finalize();
        let mut prefix = String::with_capacity(DIGEST_BYTES * 2 + INDEX_DIGITS);
        for byte in &digest[..DIGEST_BYTES] {
            let _ = write!(prefix, "{byte:02x}");
        }
        Self { prefix, size_bytes, block_bytes }
    }

    /// The plan by which blocks of this version were staged before, whatever their length: the length that is best now
    /// may be another one, and would copy all of them again. With blocks of more than one plan, that of the most bytes.
    #[must_use]
    pub fn find_begun(etag: &str, size_bytes: u64, listed: &[StagedBlock]) -> Option<Self> {
        let mut lengths: Vec<u64> = listed.iter().map(|block| block.bytes).filter(|&bytes| bytes > 0).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let plans = lengths.into_iter().map(|block_bytes| Self::new(etag, size_bytes, block_bytes));
        let begun = plans.map(|plan| (plan.resume(listed).staged_bytes, plan)).filter(|(staged, _)| *staged > 0);
        begun.max_by_key(|(staged, _)| *staged).map(|(_, plan)| plan)
    }

    /// Whether blocks of ours could not be staged beside these: all ids of a blob's blocks are equally long (Put Block, Azure
    /// Blob REST), and these are another tool's.
    #[must_use]
    pub fn are_in_the_way(listed: &[StagedBlock]) -> bool {
        listed.iter().any(|block| block.id.len() != DIGEST_BYTES * 2 + INDEX_DIGITS)
    }

    /// How many blocks there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.size_bytes.div_ceil(self.block_bytes)
    }

    /// All blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        (0..self.count()).map(|index| self.block(index))
    }

    /// The id of a block, to be sent as base64. At most 64 bytes, and equally long for all blocks (Put Block, Azure Blob
    /// REST); only hexadecimal digits, in threes, so that its base64 needs no escapes in a URL and no padding.
    #[must_use]
    pub fn id(&self, index: u64) -> Vec<u8> {
        format!("{}{index:0width$}", self.prefix, width = INDEX_DIGITS).into_bytes()
    }

    /// The ids of all blocks in order, as Put Block List wants them.
    pub fn commit_list(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        (0..self.count()).map(|index| self.id(index))
    }

    /// What is left when the service lists these uncommitted blocks. One of the right name and the wrong length is left.
    #[must_use]
    pub fn resume(&self, listed: &[StagedBlock]) -> Resumed {
        let ours = |listed: &StagedBlock| self.index_of(&listed.id).filter(|&index| self.bytes(index) == listed.bytes);
        let staged: BTreeSet<u64> = listed.iter().filter_map(ours).collect();
        Resumed {
            staged_bytes: staged.iter().map(|&index| self.bytes(index)).sum(),
            left: (0..self.count()).filter(|index| !staged.contains(index)).map(|index| self.block(index)).collect(),
        }
    }

    fn block(&self, index: u64) -> Block {
        Block { id: self.id(index), offset: index * self.block_bytes, bytes: self.bytes(index) }
    }

    fn bytes(&self, index: u64) -> u64 {
        self.block_bytes.min(self.size_bytes - index * self.block_bytes)
    }

    fn index_of(&self, id: &[u8]) -> Option<u64> {
        let digits = std::str::from_utf8(id.strip_prefix(self.prefix.as_bytes())?).ok()?;
        let is_index = digits.len() == INDEX_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|&index| is_index && index < self.count())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn listed(blocks: &[Block]) -> Vec<StagedBlock> {
        blocks.iter().map(|block| StagedBlock { id: block.id.clone(), bytes: block.bytes }).collect()
    }

    #[test]
    fn ids_are_stable_equally_long_and_plain_in_a_url() {
        let plan = BlockPlan::new("\"0x8DC\"", 100 * MIB + 1, 8 * MIB);
        let ids: Vec<String> = plan.commit_list().map(|id| BASE64_STANDARD.encode(id)).collect();
        assert_eq!(ids.len(), 13);
        assert_eq!(ids[12], BASE64_STANDARD.encode(plan.id(12)));
        assert!(ids.iter().all(|id| id.len() == ids[0].len()));
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 13);
        assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{ids:?}");
        assert!(plan.id(u64::from(u32::MAX)).len() <= 64);
        assert_eq!(plan.id(3), BlockPlan::new("\"0x8DC\"", 100 * MIB + 1, 8 * MIB).id(3));
        // they are kept by the service for a week: another release must know them again
        assert_eq!(String::from_utf8(plan.id(3)).unwrap(), "56376a73b49a6a397f60895e78600a0e0000000003");
    }

    #[test]
    fn another_version_or_length_has_other_ids() {
        let plan = BlockPlan::new("1", 64 * MIB, 8 * MIB);
        let all: Vec<Block> = plan.blocks().collect();
        let others = [("2", 64, 8), ("1", 64, 16), ("1", 65, 8)];
        for (etag, size, block) in others {
            let resumed = BlockPlan::new(etag, size * MIB, block * MIB).resume(&listed(&all));
            assert_eq!(resumed.staged_bytes, 0);
        }
        let foreign = StagedBlock { id: b"AAAA".into(), bytes: 8 * MIB };
        assert!(BlockPlan::are_in_the_way(&[foreign]) && !BlockPlan::are_in_the_way(&listed(&all)));
    }

    #[test]
    fn what_is_staged_is_not_staged_again() {
        let mut random = StdRng::seed_from_u64(5);
        for _ in 0..500 {
            let size = random.random_range(1..3000);
            let plan = BlockPlan::new("1", size, random.random_range(1..=size.min(400)));
            let all: Vec<Block> = plan.blocks().collect();
            let mut end = 0;
            for block in &all {
                assert!(block.offset == end && block.bytes > 0 && block.bytes <= plan.block_bytes);
                end += block.bytes;
            }
            assert_eq!((end, all.len() as u64), (size, plan.count()));

            let (staged, left): (Vec<Block>, Vec<Block>) = all.iter().cloned().partition(|_| random.random_bool(0.5));
            let mut found = listed(&staged);
            // a block of ours that was cut short, and blocks of somebody else
            let short = left.first().filter(|_| random.random_bool(0.5));
            found.extend(short.map(|block| StagedBlock { id: block.id.clone(), bytes: block.bytes + 1 }));
            let has_foreign = random.random_bool(0.5);
            found.extend(has_foreign.then(|| StagedBlock { id: plan.id(plan.count()), bytes: 1 }));
            found.extend(has_foreign.then(|| StagedBlock { id: Vec::new(), bytes: 1 }));
            found.shuffle(&mut random);

            let staged_bytes = staged.iter().map(|block| block.bytes).sum();
            assert_eq!(plan.resume(&found), Resumed { staged_bytes, left });
        }
    }

    #[test]
    fn a_copy_goes_on_with_the_length_that_it_was_begun_with() {
        let (begun, other) = (BlockPlan::new("1", 100 * MIB, 13 * MIB), BlockPlan::new("1", 100 * MIB, 8 * MIB));
        let block = |plan: &BlockPlan, index| listed(&[plan.block(index)]);
        let mixed = [block(&other, 0), block(&begun, 2), block(&begun, 7)].concat();
        assert_eq!(BlockPlan::find_begun("1", 100 * MIB, &mixed), Some(begun.clone()));
        assert_eq!(BlockPlan::find_begun("2", 100 * MIB, &mixed), None);
        assert_eq!(BlockPlan::find_begun("1", 100 * MIB, &[]), None);
        // the last block alone does not tell the length
        assert_eq!(BlockPlan::find_begun("1", 100 * MIB, &block(&begun, 7)), None);
        assert_eq!(BlockPlan::new("1", 0, 8 * MIB).resume(&[]), Resumed::default());
    }
}
