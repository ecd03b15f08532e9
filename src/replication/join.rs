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
    /// From storage.
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

/// Listings that have been read, to be read again from memory: the source's, and the replica's where it was read too.
#[derive(Debug)]
pub struct Kept {
    source: Option<Vec<Blob>>,
    replica: Option<Vec<Blob>>,
}

impl Kept {
    /// Nothing so far, of both sites.
    pub fn of_both() -> Self {
        Self { source: Some(Vec::new()), replica: Some(Vec::new()) }
    }

    /// Nothing so far, of the source alone.
    pub fn of_source() -> Self {
        Self { source: Some(Vec::new()), replica: None }
    }

    /// Keeps what was read, as long as it is not too much.
    pub fn add(&mut self, pair: Pair) {
        let (ours, theirs) = match pair {
            Pair::Source(blob) => (Some(blob), None),
            Pair::Replica(blob) => (None, Some(blob)),
            Pair::Both(ours, theirs) => (Some(ours), Some(theirs)),
        };
        for (kept, blob) in [(&mut self.source, ours), (&mut self.replica, theirs)] {
            if let Some(blobs) = kept {
                blobs.extend(blob);
            }
            if kept.as_ref().is_some_and(|blobs| blobs.len() > MOST_KEPT) {
                *kept = None;
            }
        }
    }

    /// The same listings again: from memory, or from storage where nothing is kept.
    pub fn join(self, from: &Container, to: &Container) -> Join {
        let reading = |kept: Option<Vec<Blob>>, container| match kept {
            Some(blobs) => Reading::Kept(blobs.into_iter()),
            None => Reading::of(container),
        };
        Join::new(reading(self.source, from), reading(self.replica, to))
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
    /// Both from their begin.
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
