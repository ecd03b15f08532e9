//! Both sites' listings side by side, page by page, however many blobs there are.

use futures::future::try_join;

use crate::blob_store::{Blobs, Container};
use crate::failure::Failure;
use crate::model::{Blob, Pair};

/// A listing that is read once.
#[derive(Debug)]
pub enum Reading {
    /// From storage, a page at a time.
    Listed(Box<Blobs>),
    /// From memory, in the order of names.
    Kept(std::vec::IntoIter<Blob>),
}

impl Reading {
    /// From storage.
    pub fn of(container: &Container) -> Self {
        Self::Listed(Box::new(container.blobs()))
    }

    /// From storage, of a replica to which is to be copied: with what an earlier slice has begun in blocks.
    pub fn of_begun(container: &Container) -> Self {
        Self::Listed(Box::new(container.blobs_and_begun()))
    }

    /// Of a container that is not there, or was empty a moment ago.
    pub fn nothing() -> Self {
        Self::Kept(Vec::new().into_iter())
    }

    async fn next(&mut self) -> Result<Option<Blob>, Failure> {
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
        let kept = |blobs: Vec<Blob>| Reading::Kept(blobs.into_iter());
        let source = self.source.map_or_else(|| Reading::of(from), kept);
        Join::new(source, self.replica.map_or_else(|| Reading::of_begun(to), kept))
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
    fn new(reading: Reading) -> Self {
        Self { reading, next: None }
    }

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
        Self { source: Side::new(source), replica: Side::new(replica) }
    }

    /// To find out what is to be copied.
    pub fn to_copy(from: &Container, to: &Container) -> Self {
        Self::new(Reading::of(from), Reading::of_begun(to))
    }

    /// To find out whether they are equal.
    pub fn to_compare(from: &Container, to: &Container) -> Self {
        Self::new(Reading::of(from), Reading::of(to))
    }

    /// To find out what is to be copied. The replica's container is made where it is missing.
    pub async fn to_copy_making(from: &Container, to: &Container) -> Result<Self, Failure> {
        let mut join = Self::to_copy(from, to);
        let replica = async {
            match join.replica.fill().await {
                Err(failure) if failure.code == "container-missing" => {
                    join.replica = Side::new(Reading::nothing());
                    to.ensure().await
                }
                filled => filled,
            }
        };
        try_join(join.source.fill(), replica).await?;
        Ok(join)
    }

    /// The next name; `None` at the end of both listings.
    pub async fn next(&mut self) -> Result<Option<Pair>, Failure> {
        try_join(self.source.fill(), self.replica.fill()).await?;
        Ok(Pair::take(&mut self.source.next, &mut self.replica.next))
    }
}
