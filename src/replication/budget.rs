//! The time that one slice of a job may take: at its end the job stops where nothing is lost, and goes on in the next.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};

use crate::failure::Failure;

/// The end of a slice. A delivery may not be held for longer than a setting, which is less than the broker's acknowledgement
/// timeout, whatever the asset's size (RabbitMQ, "Consumers", delivery acknowledgement timeout: 30 min by default).
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    begun: Instant,
    slice: Duration,
    ends: Option<Instant>,
    given_up_at: Option<Instant>,
    overrun_at: Option<Instant>,
}

/// What ends so little time before its message is given up does not go on.
const MARGIN: Duration = Duration::from_secs(5);

/// When what was stopped is tried again.
const OVERRUN_CHECK: Duration = Duration::from_secs(5);

impl Budget {
    /// Ends after `slice`, or after `left`, the time that is left of the job's deadline, where that is less; then no other
    /// slice comes after it. What still runs after `longest` hangs; the slice takes half of that at most.
    #[must_use]
    pub fn of(slice: Duration, left: Duration, longest: Duration) -> Self {
        let now = Instant::now();
        let slice = slice.min(longest / 2);
        Self {
            begun: now,
            slice,
            ends: now.checked_add(slice.min(left)),
            given_up_at: now.checked_add(left),
            overrun_at: now.checked_add(longest),
        }
    }

    /// Ends later where looking at what is there took more than half of the slice: as long again is left for the work, but
    /// never more than another slice. So a listing that is slow for the slice leaves each slice more than a few files.
    #[must_use]
    pub(super) fn with_time_to_work(self) -> Self {
        let looked = self.begun.elapsed().min(self.slice);
        let wanted = Instant::now().checked_add(looked);
        let ends = self.ends.map(|ends| wanted.map_or(ends, |wanted| ends.max(wanted)));
        let ends = ends.map(|ends| self.given_up_at.map_or(ends, |given_up_at| ends.min(given_up_at)));
        Self { ends, ..self }
    }

    /// When it ends; `None`: never.
    #[must_use]
    pub fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// Whether no other slice comes after this one.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.ends.is_some() && self.ends == self.given_up_at
    }

    /// Whether there will be another slice when the job asks for one in `wait`; not certain shortly before the end.
    #[must_use]
    pub fn goes_on_after(&self, wait: Duration) -> bool {
        self.given_up_at.is_none_or(|end| Instant::now() + wait.saturating_add(MARGIN) < end)
    }

    /// Ends when a job has run for longer than any may: something in it hangs. Then it is stopped wherever it is, as at a
    /// shutdown, but with the time to give back what it holds at the sites.
    pub(super) async fn overrun(self) -> Failure {
        let Some(end) = self.overrun_at else { return std::future::pending().await };
        tokio::time::sleep_until(end.into()).await;
        let message = "the slice is long over and something still runs, so it was stopped";
        Failure::needs_more_time("slice-overrun", message, OVERRUN_CHECK)
    }

    /// Whether it is spent.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    /// That the job goes on in its next slice, which needs no wait.
    #[must_use]
    pub fn spent(&self, doing: &str) -> Failure {
        Failure::needs_more_time("slice-spent", format!("{doing}: the slice is over"), Duration::ZERO)
    }

    /// Does `work` for each item, for `at_once` of them at a time. None begins after the slice's end, but for the first
    /// `at_once`, so that every slice gets on; none begins after one has failed; those that have begun are waited for.
    /// `None`: it came to the last item; else how many have begun.
    pub(super) async fn each<T, Work: Future<Output = Result<(), Failure>>>(
        self,
        items: impl Stream<Item = Result<T, Failure>>,
        at_once: usize,
        work: impl Fn(T) -> Work,
    ) -> Result<Option<usize>, Failure> {
        let mut items = pin!(items.fuse());
        let mut running = FuturesUnordered::new();
        let (mut begun, mut failed) = (0, None::<Failure>);
        loop {
            let is_time = begun < at_once || !self.is_spent();
            let may_begin = is_time && failed.is_none() && running.len() < at_once && !items.is_done();
            tokio::select! {
                biased;
                Some(done) = running.next() => failed = failed.or_else(|| Result::err(done)),
                item = items.next(), if may_begin => match item {
                    Some(Ok(item)) => {
                        begun += 1;
                        running.push(work(item));
                    }
                    Some(Err(failure)) => failed = Some(failure),
                    None => {}
                },
                else => break,
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(items.next().await.transpose()?.map(|_| begun)),
        }
    }
}
