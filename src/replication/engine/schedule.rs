//! Which request comes next. It knows neither clock nor service: it is told what has ended, and asked what may begin.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::block_ids::BlockPlan;
use super::operation::{Circumstances, Operation, SMALL_MAX_BYTES};
use super::plan::{Target, Task};
use crate::blob_store::{Block, StagedBlock};
use crate::telemetry::CopyOperation;

/// One request, or a few that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Copies a blob as a whole.
    Whole(Arc<Task>),
    /// Looks which blocks of a blob an earlier slice has staged.
    Look(Arc<Task>),
    /// Copies one block.
    Stage(BlobNumber, Arc<Task>, Block),
    /// Makes the blob of its blocks.
    Commit(BlobNumber, Arc<Task>, Vec<Vec<u8>>),
}

/// Tells the blobs that are copied in blocks apart.
pub type BlobNumber = usize;

impl Request {
    /// The blob that it is about.
    pub fn task(&self) -> &Arc<Task> {
        match self {
            Self::Whole(task) | Self::Look(task) | Self::Stage(_, task, _) | Self::Commit(_, task, _) => task,
        }
    }

    /// What it is counted as.
    pub fn operation(&self) -> CopyOperation {
        match self {
            Self::Whole(_) => CopyOperation::Whole,
            Self::Look(_) => CopyOperation::Look,
            Self::Stage(..) => CopyOperation::Block,
            Self::Commit(..) => CopyOperation::Commit,
        }
    }

    /// How many bytes the service copies for it.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Whole(task) => task.blob.size_bytes,
            Self::Stage(_, _, block) => block.bytes,
            Self::Look(_) | Self::Commit(..) => 0,
        }
    }
}

/// What is known of how the service may be used.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Most requests at once.
    pub slots: usize,
    /// The route's cap in bytes per second.
    pub cap_bytes_per_second: Option<u64>,
}

/// Of so many requests one is a block, while small blobs wait too. With more blocks among them these are through long before
/// the small ones, which then use the slots but not the bytes per second; with fewer it is the other way round.
const TURNS: usize = 7;

/// The work that is known, and how far it is.
#[derive(Debug)]
pub struct Schedule {
    terms: Terms,
    /// Those that are looked at before they begin, but where nothing is there to be looked at.
    large: BinaryHeap<Largest>,
    /// In the order in which they came: all of one size at a time would use the slots now and the bytes per second then.
    small: VecDeque<Task>,
    /// Looked at, and not begun.
    looked_at: VecDeque<(Arc<Task>, IsOnlyInBlocks)>,
    /// In blocks, of which some are to begin.
    cut: VecDeque<BlobNumber>,
    in_blocks: BTreeMap<BlobNumber, InBlocks>,
    to_commit: VecDeque<BlobNumber>,
    last_number: BlobNumber,
    /// Of requests that were chosen while both blocks and small blobs waited.
    turn: usize,
}

type IsOnlyInBlocks = bool;

/// A blob in blocks, until it is committed.
#[derive(Debug)]
struct InBlocks {
    task: Arc<Task>,
    plan: BlockPlan,
    left: VecDeque<Block>,
    under_way: usize,
}

impl Schedule {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            large: BinaryHeap::new(),
            small: VecDeque::new(),
            looked_at: VecDeque::new(),
            cut: VecDeque::new(),
            in_blocks: BTreeMap::new(),
            to_commit: VecDeque::new(),
            last_number: 0,
            turn: 0,
        }
    }

    /// Adds a blob that is to be copied.
    pub fn add(&mut self, task: Task) {
        if task.blob.size_bytes > SMALL_MAX_BYTES {
            self.large.push(Largest(task));
        } else {
            self.small.push_back(task);
        }
    }

    /// How many blobs have not begun.
    pub fn waiting(&self) -> usize {
        self.large.len() + self.small.len() + self.looked_at.len()
    }

    /// Whether nothing could begin now.
    pub fn is_idle(&self) -> bool {
        self.waiting() == 0 && self.cut.is_empty() && self.to_commit.is_empty()
    }

    /// The request that should begin next. What was begun comes before other large blobs, and the largest of those first: so
    /// the longest copy does not begin last. Small ones go along with blocks, in the order in which they came, for these are
    /// slow by their bytes and those by their number: either alone leaves something unused.
    pub fn next(&mut self) -> Option<Request> {
        if let Some(number) = self.to_commit.pop_front() {
            return self.commit(number);
        }
        let waiting = self.waiting();
        let (task, is_only_in_blocks) = if self.is_turn_of_small_ones() {
            (self.next_small()?, false)
        } else if let Some(&number) = self.cut.front() {
            return self.stage(number);
        } else if let Some(looked_at) = self.looked_at.pop_front() {
            looked_at
        } else if let Some(Largest(task)) = self.large.pop() {
            let task = Arc::new(task);
            if task.target != Target::Nothing {
                return Some(Request::Look(task));
            }
            (task, false)
        } else {
            (self.next_small()?, false)
        };
        match Operation::choose(task.blob.size_bytes, self.circumstances(waiting, is_only_in_blocks)) {
            Operation::Whole => Some(Request::Whole(task)),
            Operation::Blocks { block_bytes } => {
                let plan = BlockPlan::new(&task.blob.etag, task.blob.size_bytes, block_bytes);
                let left = plan.blocks().collect();
                let number = self.cut(task, plan, left);
                self.next_of(number)
            }
        }
    }

    /// It is known which blocks of a blob are staged. Gives the bytes that need no second copy.
    pub fn looked(&mut self, task: Arc<Task>, staged: &[StagedBlock]) -> u64 {
        let Some(plan) = BlockPlan::find_begun(&task.blob.etag, task.blob.size_bytes, staged) else {
            self.looked_at.push_back((task, false));
            return 0;
        };
        let resumed = plan.resume(staged);
        self.cut(task, plan, resumed.left.into());
        resumed.staged_bytes
    }

    /// The service does not copy this blob as a whole.
    pub fn only_in_blocks(&mut self, task: Arc<Task>) {
        self.looked_at.push_back((task, true));
    }

    /// A block is staged.
    pub fn staged(&mut self, number: BlobNumber) {
        if let Some(blob) = self.in_blocks.get_mut(&number) {
            blob.under_way -= 1;
            if blob.under_way == 0 && blob.left.is_empty() {
                self.to_commit.push_back(number);
            }
        }
    }

    fn next_small(&mut self) -> Option<Arc<Task>> {
        self.small.pop_front().map(Arc::new)
    }

    fn is_turn_of_small_ones(&mut self) -> bool {
        if self.small.is_empty() || self.cut.is_empty() {
            return false;
        }
        self.turn = (self.turn + 1) % TURNS;
        self.turn != 0
    }

    fn circumstances(&self, ready_blobs: usize, is_only_in_blocks: bool) -> Circumstances {
        let Terms { slots, cap_bytes_per_second } = self.terms;
        Circumstances { ready_blobs, slots, is_only_in_blocks, cap_bytes_per_second }
    }

    fn cut(&mut self, task: Arc<Task>, plan: BlockPlan, left: VecDeque<Block>) -> BlobNumber {
        self.last_number += 1;
        let queue = if left.is_empty() { &mut self.to_commit } else { &mut self.cut };
        queue.push_back(self.last_number);
        self.in_blocks.insert(self.last_number, InBlocks { task, plan, left, under_way: 0 });
        self.last_number
    }

    fn next_of(&mut self, number: BlobNumber) -> Option<Request> {
        // An empty blob in blocks has none.
        if self.to_commit.back() == Some(&number) {
            self.to_commit.pop_back();
            return self.commit(number);
        }
        self.stage(number)
    }

    fn stage(&mut self, number: BlobNumber) -> Option<Request> {
        let blob = self.in_blocks.get_mut(&number)?;
        let block = blob.left.pop_front()?;
        blob.under_way += 1;
        if blob.left.is_empty() {
            self.cut.retain(|&other| other != number);
        }
        Some(Request::Stage(number, Arc::clone(&blob.task), block))
    }

    fn commit(&mut self, number: BlobNumber) -> Option<Request> {
        let blob = self.in_blocks.remove(&number)?;
        Some(Request::Commit(number, blob.task, blob.plan.commit_list().collect()))
    }
}

/// Orders tasks by size.
#[derive(Debug, PartialEq, Eq)]
struct Largest(Task);

impl Ord for Largest {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |task: &Self| task.0.blob.size_bytes;
        // Of equal ones the first by name.
        key(self).cmp(&key(other)).then_with(|| other.0.blob.name.cmp(&self.0.blob.name))
    }
}

impl PartialOrd for Largest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
