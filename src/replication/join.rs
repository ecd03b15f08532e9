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
