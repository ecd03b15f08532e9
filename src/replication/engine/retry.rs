//! Whether a request that failed is made again, and when. Known by the failure alone.

use std::time::{Duration, Instant};

use backon::BackoffBuilder;

use crate::failure::Failure;
use crate::http::{FullJitter, TRY_WITHIN};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The tries of one request.
#[derive(Debug)]
pub struct Tries {
    begun: Instant,
    until: Option<Instant>,
    waits: <FullJitter as BackoffBuilder>::Backoff,
    in_turn: <FullJitter as BackoffBuilder>::Backoff,
    looked_again: bool,
}

impl Tries {
    /// `tries` in all, none of them after `until`: each may be silent for minutes.
    pub fn new(tries: usize, until: Option<Instant>) -> Self {
        let waits = |delays| FullJitter { base: FIRST_WAIT, cap: LONGEST_WAIT, delays }.build();
        let (begun, in_turn) = (Instant::now(), waits(usize::MAX));
        Self { begun, until, waits: waits(tries.saturating_sub(1)), in_turn, looked_again: false }
    }

    /// How long to wait before the next try after `failure`; `None`: that was the last one. `are_others_taken`: meanwhile
    /// the service has taken other requests, so that being refused as one too many is no failed try, but its place in a queue.
    pub fn next(&mut self, failure: &Failure, are_others_taken: bool) -> Option<Duration> {
        let is_late = self.begun.elapsed() >= TRY_WITHIN || self.until.is_some_and(|until| Instant::now() >= until);
        let may_pass = match failure.code {
            // the listing that named this version is out of date: only a new listing helps
            "source-changed" => false,
            // somebody had a reason: at least they get a pause
            "copy-aborted" => false,
            // what is staged is looked at anew in the next run
            "blocks-missing" => false,
            // a fresh signature, or a second look, once: what stays gone or denied is reported at once
            "source-denied" | "source-gone" => !std::mem::replace(&mut self.looked_again, true),
            _ => failure.is_transient(),
        };
        if is_late || !may_pass {
            return None;
        }
        let is_in_turn = failure.is_throttled && are_others_taken;
        let wait = if is_in_turn { self.in_turn.next() } else { self.waits.next() }?;
        // a wait that the service wants longer than ours is for the retry queues
        match failure.retry_after() {
            Some(asked) if asked > LONGEST_WAIT => None,
            asked => Some(wait.max(asked.unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(failure: &Failure) -> usize {
        let mut tries = Tries::new(4, None);
        std::iter::from_fn(|| tries.next(failure, false)).count()
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_cannot_is_not() {
        let transient = |code| Failure::transient(code, "");
        assert_eq!(count(&transient("storage-busy")), 3);
        assert_eq!(count(&transient("source-busy")), 3);
        assert_eq!(["source-changed", "copy-aborted", "blocks-missing"].map(|code| count(&transient(code))), [0; 3]);
        assert_eq!([count(&transient("source-gone")), count(&Failure::permanent("source-denied", ""))], [1, 1]);
        assert_eq!(count(&Failure::permanent("storage-refused", "")), 0);
        assert_eq!(count(&Failure::needs_more_time("copy-pending", "", Duration::ZERO)), 0);
    }

    #[test]
    fn to_be_refused_as_one_too_many_is_no_try_while_others_are_taken() {
        let refused = Failure::transient("storage-busy", "").throttled(true);
        let mut tries = Tries::new(2, None);
        assert!((0..100).all(|_| tries.next(&refused, true).is_some()));
        assert!(tries.next(&refused, false).is_some());
        assert_eq!(tries.next(&refused, false), None);
    }

    #[test]
    fn it_waits_as_long_as_it_is_asked_to_but_not_for_ever() {
        let busy = |seconds| Failure::transient("busy", "").with_retry_after(Some(Duration::from_secs(seconds)));
        let wait = Tries::new(2, None).next(&busy(3), false);
        assert!(wait.is_some_and(|wait| wait == Duration::from_secs(3)), "{wait:?}");
        assert_eq!(Tries::new(2, None).next(&busy(120), false), None);
        assert_eq!(Tries::new(2, Some(Instant::now())).next(&busy(3), false), None, "the slice is over");
    }
}
