//! What things cost in the model: time, bandwidth, requests, and now and then a failure.

mod bucket;
mod faults;
mod pipe;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

pub use faults::Faults;

pub(crate) use bucket::Bucket;
pub(crate) use faults::Fault;
pub(crate) use pipe::Pipe;

/// A copy takes its share of the accounts' bandwidth in pieces of this size, so that all copies get on together.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// The cost model. The default is what was measured and reported of the real service; [`Costs::none`] is free of charge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// Added to every request.
    pub round_trip_milliseconds: f64,
    /// Put Blob From URL and synchronous Copy Blob: this much, then the bytes at the rate below.
    pub copy_fixed_milliseconds: f64,
    /// `None` takes no time.
    pub copy_mib_per_second: Option<f64>,
    /// Put Block From URL: this much, then the bytes at the rate below.
    pub block_fixed_milliseconds: f64,
    /// `None` takes no time.
    pub block_mib_per_second: Option<f64>,
    /// Copy Blob in the service's own time: this much, then the bytes at the rate below. It is pending meanwhile.
    pub async_fixed_milliseconds: f64,
    /// `None` takes no time.
    pub async_mib_per_second: Option<f64>,
    /// What copies from an account share.
    pub account_egress_mib_per_second: Option<f64>,
    /// What copies into an account share.
    pub account_ingress_mib_per_second: Option<f64>,
    /// Requests over it are answered 503 ServerBusy. A tenth of a second's worth may come at once.
    pub requests_per_second: Option<f64>,
    /// Whether a copy counts as a request of its source's account too; a busy source shows as CannotVerifyCopySource.
    pub counts_copies_at_source: bool,
    /// `Retry-After` of a 503.
    pub retry_after_seconds: Option<u64>,
    /// Put Blob From URL is answered as Azurite does, which lacks it: a bare 500.
    pub lacks_put_blob_from_url: bool,
    /// Random failures.
    pub faults: Faults,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            round_trip_milliseconds: 20.0,
            copy_fixed_milliseconds: 150.0,
            copy_mib_per_second: Some(35.0),
            block_fixed_milliseconds: 150.0,
            block_mib_per_second: Some(35.0),
            async_fixed_milliseconds: 1000.0,
            async_mib_per_second: Some(7.0),
            // 50 and 25 Gbps, 20,000 requests/s: the default targets of an account
            account_egress_mib_per_second: Some(5960.0),
            account_ingress_mib_per_second: Some(2980.0),
            requests_per_second: Some(20_000.0),
            counts_copies_at_source: false,
            retry_after_seconds: Some(1),
            lacks_put_blob_from_url: false,
            faults: Faults::default(),
        }
    }
}

/// What one copy costs beside the accounts' bandwidth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyCost {
    fixed: Duration,
    mib_per_second: Option<f64>,
}

impl Costs {
    /// Everything at once, nothing limited.
    #[must_use]
    pub fn none() -> Self {
        Self {
            round_trip_milliseconds: 0.0,
            copy_fixed_milliseconds: 0.0,
            copy_mib_per_second: None,
            block_fixed_milliseconds: 0.0,
            block_mib_per_second: None,
            async_fixed_milliseconds: 0.0,
            async_mib_per_second: None,
            account_egress_mib_per_second: None,
            account_ingress_mib_per_second: None,
            requests_per_second: None,
            ..Self::default()
        }
    }

    pub(crate) fn half_round_trip(&self) -> Duration {
        milliseconds(self.round_trip_milliseconds / 2.0)
    }

    pub(crate) fn of_copy(&self) -> CopyCost {
        CopyCost { fixed: milliseconds(self.copy_fixed_milliseconds), mib_per_second: self.copy_mib_per_second }
    }

    pub(crate) fn of_block(&self) -> CopyCost {
        CopyCost { fixed: milliseconds(self.block_fixed_milliseconds), mib_per_second: self.block_mib_per_second }
    }

    pub(crate) fn of_async_copy(&self) -> CopyCost {
        CopyCost { fixed: milliseconds(self.async_fixed_milliseconds), mib_per_second: self.async_mib_per_second }
    }
}

impl CopyCost {
    pub(crate) fn is_free(&self) -> bool {
        self.fixed.is_zero() && self.mib_per_second.is_none()
    }

    /// Takes the time of `size` bytes through both accounts, and tells how far it is.
    pub(crate) async fn spend(
        self,
        size: u64,
        through: [(&Pipe, Option<f64>); 2],
        mut progress: impl FnMut(u64) + Send,
    ) {
        let mut due = Instant::now() + self.fixed;
        if !self.fixed.is_zero() {
            sleep_until(due).await;
        }
        let mut done = 0;
        while done < size {
            let piece = PIECE_BYTES.min(size - done);
            let mut free = due + time_of(piece, self.mib_per_second);
            for (pipe, rate) in through {
                free = free.max(pipe.reserve(time_of(piece, rate)));
            }
            if free > Instant::now() {
                sleep_until(free).await;
            }
            (due, done) = (free, done + piece);
            progress(done);
        }
    }
}

/// How long so many bytes take.
fn time_of(bytes: u64, mib_per_second: Option<f64>) -> Duration {
    let Some(rate) = mib_per_second else { return Duration::ZERO };
    #[expect(clippy::cast_precision_loss, reason = "bytes of a copy are far below 2^52")]
    let seconds = bytes as f64 / (rate * 1024.0 * 1024.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn milliseconds(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[tokio::test(start_paused = true)]
    async fn a_copy_takes_its_fixed_cost_and_its_bytes() {
        let (from, to) = (Pipe::default(), Pipe::default());
        let start = Instant::now();
        Costs::default().of_copy().spend(35 * MIB, [(&from, None), (&to, None)], |_| ()).await;
        let took = start.elapsed();
        assert!((1150..1170).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn copies_share_what_an_account_lets_through() {
        let (from, to) = (Pipe::default(), Pipe::default());
        let start = Instant::now();
        let cost = Costs { copy_fixed_milliseconds: 0.0, ..Costs::default() }.of_copy();
        // 100 x 10 MiB through 100 MiB/s; alone each would take 0.3 s
        let copies = (0..100).map(|_| cost.spend(10 * MIB, [(&from, Some(100.0)), (&to, None)], |_| ()));
        join_all(copies).await;
        let took = start.elapsed();
        assert!((9_990..10_300).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_tells_how_far_it_is() {
        let mut seen = Vec::new();
        let (from, to) = (Pipe::default(), Pipe::default());
        Costs::default().of_async_copy().spend(9 * MIB, [(&from, None), (&to, None)], |done| seen.push(done)).await;
        assert_eq!(seen, [4 * MIB, 8 * MIB, 9 * MIB]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_copy_does_not_wait_for_a_large_one_to_end() {
        let (from, to) = (Pipe::default(), Pipe::default());
        let cost = Costs { copy_fixed_milliseconds: 0.0, ..Costs::default() }.of_copy();
        let through = [(&from, Some(40.0)), (&to, None)];
        let large = cost.spend(400 * MIB, through, |_| ());
        let small = cost.spend(MIB, through, |_| ());
        tokio::select! {
            biased;
            () = large => panic!("the large one is done first"),
            () = small => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_costs_nothing() {
        let start = Instant::now();
        let free = Costs::none();
        free.of_copy().spend(1000 * MIB, [(&Pipe::default(), None), (&Pipe::default(), None)], |_| ()).await;
        assert_eq!(start.elapsed() + free.half_round_trip(), Duration::ZERO);
        assert!(free.of_async_copy().is_free() && !Costs::default().of_async_copy().is_free());
    }
}
