//! Compares bytes of both sites, where the settings ask for it: a stored MD5 is copied along as it is, so that a byte which a
//! copy has changed shows in no listing.

mod ranges;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use futures::future::try_join;
use futures::stream::try_unfold;

use self::ranges::Choice;
use super::budget::Budget;
use super::join::Join;
use super::progress::Progress;
use super::sites::Sites;
use crate::blob_store::Container;
use crate::failure::Failure;
use crate::model::{Blob, Compared, Pair};

/// So many ranges are read at once, at each site.
const AT_ONCE: usize = 16;
/// So many wrong copies are remembered, and emptied, in one run; the next one finds the others.
const MOST_WRONG: usize = 100;

/// The comparison of one replica's bytes with its source's. Both listings are equal.
pub struct BytesComparison<'a> {
    pub from: &'a Container,
    pub to: &'a Container,
    pub sites: &'a Sites,
    pub progress: &'a Progress,
    /// Stands for the names and versions of all blobs of both sites.
    pub state: u64,
    /// How many files there are.
    pub files: u64,
}

/// One range of one file, at both sites.
struct Piece {
    ours: Arc<Blob>,
    theirs: Arc<Blob>,
    range: Range<u64>,
}

/// What has other bytes at the replica.
#[derive(Default)]
struct Wrong {
    /// The source's blob by its name, and where its first wrong range begins.
    files: BTreeMap<String, (Arc<Blob>, u64)>,
    are_more: bool,
}

impl Wrong {
    fn add(&mut self, piece: Piece) {
        let Piece { ours, range, .. } = piece;
        if let Some((_, begin)) = self.files.get_mut(&ours.name) {
            *begin = range.start.min(*begin);
        } else if self.files.len() < MOST_WRONG {
            self.files.insert(ours.name.clone(), (ours, range.start));
        } else {
            self.are_more = true;
        }
    }
}

/// Where the comparison is.
struct Walk {
    join: Join,
    choice: Choice,
    files: u64,
    /// Ranges that an earlier slice has compared.
    to_skip: u64,
    /// The file that it is at, its number, and which of its ranges is next.
    current: Option<(Arc<Blob>, Arc<Blob>, u64, u64)>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        loop {
            if let Some((ours, theirs, file, nth)) = &mut self.current
                && let Some(range) = self.choice.range(*file, ours, *nth)
            {
                *nth += 1;
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                    continue;
                }
                return Ok(Some(Piece { ours: Arc::clone(ours), theirs: Arc::clone(theirs), range }));
            }
            self.current = None;
            match self.join.next().await? {
                None => return Ok(None),
                Some(Pair::Both(ours, theirs)) => {
                    self.current = Some((Arc::new(ours), Arc::new(theirs), self.files, 0));
                    self.files += 1;
                }
                // It was made or removed after the listings were compared, as others may do at any time.
                Some(Pair::Source(_) | Pair::Replica(_)) => {}
            }
        }
    }
}

impl BytesComparison<'_> {
    /// Compares what the settings ask for, goes on where an earlier slice has stopped, and stops at the slice's end. Copies
    /// with wrong bytes are emptied, so that the next run copies them again.
    ///
    /// # Errors
    /// `NeedsMoreTime` `slice-spent`; transient `replica-bytes-differ`, `source-changed`, and what a busy or silent service
    /// gives.
    pub async fn run(&self, budget: Budget) -> Result<(), Failure> {
        let Some(choice) = Choice::of(self.sites.compared_bytes, self.files, self.state) else { return Ok(()) };
        let earlier = self.progress.compared().filter(|compared| compared.state == self.state);
        let to_skip = earlier.map_or(0, |compared| compared.ranges);
        let (begun, wrong) = (AtomicU64::new(0), Mutex::new(Wrong::default()));
        let join = Join::to_compare(self.from, self.to);
        let walk = Walk { join, choice, files: 0, to_skip, current: None };
        let over = budget
            .with_time_to_work()
            .each(pieces(walk), AT_ONCE, |piece| {
                begun.fetch_add(1, Ordering::Relaxed);
                async {
                    if !self.is_equal(&piece).await? {
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).add(piece);
                    }
                    Ok(())
                }
            })
            .await?;
        let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, (_, begin))) = wrong.files.first_key_value() {
            self.progress.has_compared(None);
            let more = if wrong.are_more { "more than " } else { "" };
            let message = format!(
                "{more}{} files have other bytes at the replica than at the source, the first is '{name}', within the range \
                 that begins at byte {begin}",
                wrong.files.len()
            );
            self.empty(&wrong).await;
            return Err(Failure::transient("replica-bytes-differ", message)
                .with_hint(
                    "they were emptied, and the next try copies them again; look at the storage account if it goes on",
                )
                .at_site(&self.sites.replica.name));
        }
        // What has begun has ended, as nothing has failed.
        let ranges = to_skip + begun.into_inner();
        self.progress.has_compared(Some(Compared { state: self.state, ranges }));
        match over {
            None => Ok(()),
            Some(_) => Err(budget.spent(&format!("{ranges} ranges of bytes are equal at both sites so far"))),
        }
    }

    async fn is_equal(&self, piece: &Piece) -> Result<bool, Failure> {
        let Piece { ours, theirs, range } = piece;
        let permit = self.sites.pace.admit(range.end - range.start).await;
        let replica = async {
            let read = self.to.digest(theirs, range.clone()).await;
            read.map_err(|failure| match failure.code {
                "source-changed" => {
                    Failure::transient("replica-differs", format!("{failure}: it was the replica's blob"))
                }
                _ => failure,
            })
        };
        let read = try_join(self.from.digest(ours, range.clone()), replica).await;
        match &read {
            Err(failure) if failure.is_throttled => permit.throttled(failure.retry_after()),
            // It takes another time than copies do.
            _ => permit.failed(),
        }
        let (ours, theirs) = read?;
        Ok(ours == theirs)
    }

    async fn empty(&self, wrong: &Wrong) {
        for (blob, _) in wrong.files.values() {
            if let Err(failure) = self.to.empty(self.from, blob).await {
                tracing::warn!(code = failure.code, "a copy with wrong bytes stays as it is: {failure}");
            }
        }
    }
}

fn pieces(walk: Walk) -> impl Stream<Item = Result<Piece, Failure>> {
    try_unfold(walk, |mut walk| async move { Ok(walk.next().await?.map(|piece| (piece, walk))) })
}
