//! Both sites' listings side by side, page by page, however many blobs there are.

use futures::future::try_join;

use crate::blob_store::{Blobs, Container};
use crate::failure::Failure;
use crate::model::{Blob, Pair};

/// A listing that is read once.
#[derive(Debug)]
pub enum Reading {
    /// From storage, a page at a time.
    Listed(Blobs),
    /// From memory, in the order of names.
    Kept(std::vec::IntoIter<Blob>),
}

impl Reading {
    pub fn of(container: &Container) -> Self {
        Self::Listed(container.blobs())
    }

    pub async fn next(&mut self) -> Result<Option<Blob>, Failure> {
        match self {
            Self::Listed(blobs) => blobs.next().await,
            Self::Kept(blobs) => Ok(blobs.next()),
        }
    }
}

/// Listings of no more blobs than this are kept for what comes next; longer ones are read again.
const MOST_KEPT: usize = 5000;

/// Two listings that have been read, to be read again from memory.
#[derive(Debug, Default)]
pub struct Kept {
    source: Vec<Blob>,
    replica: Vec<Blob>,
    are_too_many: bool,
}

impl Kept {
    /// Keeps what was read, as long as it is not too much.
    pub fn add(&mut self, pair: Pair) {
        self.are_too_many |= self.source.len().max(self.replica.len()) == MOST_KEPT;
        if self.are_too_many {
            (self.source, self.replica) = (Vec::new(), Vec::new());
            return;
        }
        let (ours, theirs) = match pair {
            Pair::Source(blob) => (Some(blob), None),
            Pair::Replica(blob) => (None, Some(blob)),
            Pair::Both(ours, theirs) => (Some(ours), Some(theirs)),
        };
        self.source.extend(ours);
        self.replica.extend(theirs);
    }

    /// The same listings again: from memory, or from storage where they were too long.
    pub fn join(self, from: &Container, to: &Container) -> Join {
        if self.are_too_many {
            return Join::new(Reading::of(from), Reading::of(to));
        }
        Join::new(Reading::Kept(self.source.into_iter()), Reading::Kept(self.replica.into_iter()))
    }

    /// The same, where nobody has looked at the replica.
    pub fn join_unseen(self, from: &Container, to: &Container) -> Join {
        if self.are_too_many {
            return Join::new(Reading::of(from), Reading::of(to));
        }
        Join::new(Reading::Kept(self.source.into_iter()), Reading::of(to))
    }
}

/// Two listings as one, name by name.
#[derive(Debug)]
pub struct Join {
    source: Side,
    replica: Side,
}

/// One of the two, and the blob of it that is next.
#[derive(Debug)]
struct Side {
    reading: Reading,
    next: Option<Blob>,
}

impl Side {
    async fn fill(&mut self) -> Result<(), Failure> {
        if self.next.is_none() {
            self.next = self.reading.next().await?;
        }
        Ok(())
    }
}

impl Join {
    pub fn new(source: Reading, replica: Reading) -> Self {
        let side = |reading| Side { reading, next: None };
        Self { source: side(source), replica: side(replica) }
    }

    /// The next name; `None` at the end of both listings.
    pub async fn next(&mut self) -> Result<Option<Pair>, Failure> {
        try_join(self.source.fill(), self.replica.fill()).await?;
        Ok(Pair::take(&mut self.source.next, &mut self.replica.next))
    }
}
