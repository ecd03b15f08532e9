//! Keeps the bytes that a route copies per second under its cap, whatever the number of its jobs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So much of the time in which nobody copied may be made up for. Over any 10 s it lets 2.5 % too much through; without it
/// every late wake-up would be lost. Besides that, a window may hold the part of one request that was paid for before it.
const CREDIT: Duration = Duration::from_millis(250);
/// No request waits for longer, whatever its size.
const LONGEST_SECONDS: f64 = 86_400.0;

/// One route's cap. Clones share it.
#[derive(Debug, Clone)]
pub struct RateCap(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    bytes_per_second: f64,
    /// Whoever holds it is next; the others wait for it in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    /// Up to when all bytes that were taken are paid for in time.
    paid_until: Mutex<Instant>,
}

impl RateCap {
    /// A cap in bytes per second; `None`, or zero: no cap.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self(bytes_per_second.filter(|&bytes| bytes > 0).map(|bytes| {
            Arc::new(Shared {
                bytes_per_second: bytes as f64,
                turn: tokio::sync::Mutex::default(),
                paid_until: Mutex::new(Instant::now()),
            })
        }))
    }

    /// Waits until `bytes` more may be copied, first come first served. A request of more than a second's worth waits as
    /// long as it takes. Nothing is taken when the wait is given up.
    pub async fn take(&self, bytes: u64) {
        let Some(shared) = &self.0 else { return };
        let _turn = shared.turn.lock().await;
        let seconds = (bytes as f64 / shared.bytes_per_second).min(LONGEST_SECONDS);
        let until = shared.begins() + Duration::from_secs_f64(seconds);
        sleep_until(until).await;
        shared.set_paid_until(until);
    }
}

impl Shared {
    /// The moment from which on time counts for whoever is next.
    fn begins(&self) -> Instant {
        let paid_until = *self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        paid_until.max(now.checked_sub(CREDIT).unwrap_or(now))
    }

    fn set_paid_until(&self, until: Instant) {
        *self.paid_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use tokio::task::JoinSet;
    use tokio::time::{sleep, timeout};

    use super::*;

    const RATE: u64 = 50_000_000;

    /// Lets `jobs` copy for a minute, each request of up to `largest` bytes; what began when.
    async fn demand(cap: &RateCap, jobs: u64, largest: u64) -> Vec<(Duration, u64)> {
        let (begun, mut running) = (Instant::now(), JoinSet::new());
        let log = Arc::new(Mutex::new(Vec::new()));
        for job in 0..jobs {
            let (cap, log) = (cap.clone(), Arc::clone(&log));
            let mut random = StdRng::seed_from_u64(job);
            running.spawn(async move {
                while begun.elapsed() < Duration::from_secs(60) {
                    let bytes = random.random_range(1..=largest);
                    cap.take(bytes).await;
                    log.lock().unwrap().push((begun.elapsed(), bytes));
                    sleep(Duration::from_millis(random.random_range(1..40))).await;
                }
            });
        }
        running.join_all().await;
        Arc::try_unwrap(log).unwrap().into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn any_ten_seconds_keep_within_five_percent() {
        for (jobs, largest) in [(1, RATE / 10), (20, RATE / 100), (20, RATE / 5), (200, RATE / 5)] {
            let log = demand(&RateCap::new(Some(RATE)), jobs, largest).await;
            for from in 0..50 {
                let window = Duration::from_secs(from)..Duration::from_secs(from + 10);
                let bytes: u64 = log.iter().filter(|(at, _)| window.contains(at)).map(|(_, bytes)| bytes).sum();
                let share = bytes as f64 / (10 * RATE) as f64;
                assert!((0.95..=1.05).contains(&share), "{jobs} jobs, {largest} bytes, from {from} s: {share}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_first_served_at_any_size() {
        let (cap, begun, mut running) = (RateCap::new(Some(RATE)), Instant::now(), JoinSet::new());
        let sizes = [3 * RATE, RATE / 2, 0, 7 * RATE];
        for bytes in sizes {
            let cap = cap.clone();
            running.spawn(async move {
                cap.take(bytes).await;
                (begun.elapsed().as_millis(), bytes)
            });
        }
        let mut order = running.join_all().await;
        order.sort_by_key(|&(at, _)| at);
        assert_eq!(order, [(3000, 3 * RATE), (3500, RATE / 2), (3500, 0), (10_500, 7 * RATE)]);
        assert!(timeout(Duration::from_secs(86_399), cap.take(u64::MAX)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_made_up_for_a_little() {
        let cap = RateCap::new(Some(RATE));
        sleep(Duration::from_secs(100)).await;
        let begun = Instant::now();
        for _ in 0..10 {
            cap.take(RATE / 10).await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(1) - CREDIT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_has_taken_nothing() {
        let (cap, begun) = (RateCap::new(Some(RATE)), Instant::now());
        for _ in 0..3 {
            assert!(timeout(Duration::from_millis(100), cap.take(100 * RATE)).await.is_err());
        }
        cap.take(RATE).await;
        assert!(begun.elapsed() <= Duration::from_millis(1300), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_cap_nobody_waits() {
        for cap in [RateCap::new(None), RateCap::new(Some(0))] {
            let mut take = std::pin::pin!(cap.take(u64::MAX));
            poll_fn(|context| Poll::Ready(take.as_mut().poll(context).is_ready().then_some(()))).await.unwrap();
        }
    }
}
