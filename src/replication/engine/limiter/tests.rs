//! What the limiter makes of services that refuse, queue, recover or fall silent, and how it treats those who wait.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};

use super::model::{Log, Model, PLAIN, run};
use super::{Limiter, LimiterSettings};
use crate::replication::engine::operation::SizeClass;

const SECONDS: usize = 20;
/// What the first seconds cost is looked at apart.
const LEARNT: usize = 5;

fn sum(logs: &[Log], of: impl Fn(&Log) -> f64) -> f64 {
    logs.iter().map(of).sum()
}

/// Goodput by what was possible, and refusals by all requests, after the first seconds.
fn judge(logs: &[Log], per_second: f64) -> (f64, f64) {
    let (good, refused) = (sum(logs, |log| log.good(LEARNT)), sum(logs, |log| log.refused(LEARNT)));
    (good / per_second / (SECONDS - LEARNT) as f64, refused / (good + refused))
}

#[tokio::test(start_paused = true)]
async fn a_request_limit_is_used_up_and_seldom_met() {
    for (limit, round_trip_ms, has_sizes, retry_after_ms) in [
        (100.0, 20, false, Some(1000)),
        (300.0, 5, true, None),
        (300.0, 100, false, Some(1000)),
        (750.0, 20, true, Some(1000)),
        (1500.0, 20, false, Some(1000)),
        (1500.0, 20, false, None),
        (1500.0, 20, true, Some(5000)),
    ] {
        let model = Model { limit: Some(limit), round_trip_ms, has_sizes, retry_after_ms, ..PLAIN };
        let logs = run(model, &[0], SECONDS).await;
        let (goodput, refused) = judge(&logs, limit);
        assert!(goodput >= 0.95 && refused <= 0.05, "{model:?}: goodput {goodput:.3}, refused {refused:.3}");
        let from_cold = logs[0].good(0) / limit / SECONDS as f64;
        assert!(from_cold >= 0.88, "{model:?}: goodput {from_cold:.3} from cold");
    }
}

#[tokio::test(start_paused = true)]
async fn workers_that_know_nothing_of_each_other_share_a_limit() {
    for (limit, begins_ms) in [(300.0, 0), (750.0, 300), (1500.0, 300)] {
        let mut shares = Vec::new();
        for seed in 0..3 {
            let model = Model { limit: Some(limit), seed, ..PLAIN };
            let logs = run(model, &[0, begins_ms], SECONDS).await;
            let (goodput, refused) = judge(&logs, limit);
            assert!(goodput >= 0.95 && refused <= 0.05, "{model:?}: goodput {goodput:.3}, refused {refused:.3}");
            let (one, other) = (logs[0].good(LEARNT), logs[1].good(LEARNT));
            shares.push(one.min(other) / one.max(other));
        }
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!(
            mean >= 0.8,
            "limit {limit}, the second begins at {begins_ms} ms: the smaller by the larger {shares:.2?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_gets_a_share_too() {
    let logs = run(Model { limit: Some(1500.0), ..PLAIN }, &[0, 10_000], 35).await;
    let (one, other) = (logs[0].good(20), logs[1].good(20));
    assert!(other / one >= 0.65, "{one} and {other}");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_the_cap_is_reached_within_three_seconds() {
    for (fixed_ms, has_sizes) in [(0, false), (150, false), (150, true), (180, false)] {
        let logs = run(Model { fixed_ms, has_sizes, ..PLAIN }, &[0], 4).await;
        assert_eq!(logs[0].widths[2], 512, "{fixed_ms} ms, sizes: {has_sizes}: {:?}", logs[0].widths);
    }
}

#[tokio::test(start_paused = true)]
async fn the_width_settles_near_the_knee_of_a_service_that_queues() {
    let logs = run(Model { servers: Some(50), ..PLAIN }, &[0], 120).await;
    let settled = &logs[0].widths[5..];
    assert!(settled.iter().all(|width| (50..=150).contains(width)), "{settled:?}");
    let share = logs[0].good(5) / (50.0 / 0.165) / 115.0;
    assert!(share >= 0.95, "{share:.3} of what it can do");
}

#[tokio::test(start_paused = true)]
async fn a_limit_on_requests_under_way_is_kept_too() {
    for (slots, has_sizes) in [(64, false), (256, true)] {
        let model = Model { slots: Some(slots), has_sizes, ..PLAIN };
        let seconds = if has_sizes { 0.265 } else { 0.165 };
        let (goodput, refused) = judge(&run(model, &[0], SECONDS).await, slots as f64 / seconds);
        assert!(goodput >= 0.75 && refused <= 0.05, "{model:?}: goodput {goodput:.3}, refused {refused:.3}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_ends_is_found_to_be_gone() {
    let model = Model { limit: Some(300.0), limited: (0.0, 10.0), ..PLAIN };
    let logs = run(model, &[0], 25).await;
    assert!(logs[0].widths[9] < 256, "{:?}", logs[0].widths);
    assert_eq!(logs[0].widths[24], 512, "{:?}", logs[0].widths);
}

#[tokio::test(start_paused = true)]
async fn the_width_follows_what_a_new_limit_leaves_in_use() {
    let model = Model { limit: Some(300.0), limited: (5.0, 15.0), ..PLAIN };
    let widths = &run(model, &[0], 15).await[0].widths;
    assert!(widths[4] == 512 && widths[14] < 128, "{widths:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_now_and_then_is_chance() {
    let model = Model { chance: 0.005, ..PLAIN };
    let (goodput, _) = judge(&run(model, &[0], SECONDS).await, 512.0 / 0.185);
    assert!(goodput >= 0.9, "{goodput:.3}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_nothing_is_hardly_asked() {
    let closed = Model { limit: Some(0.0), limited: (5.0, 15.0), ..PLAIN };
    let logs = run(closed, &[0], 25).await;
    let asked = logs[0].refused(7) - logs[0].refused(15);
    assert!(asked <= 8.0 * 40.0, "{asked} requests in 8 s");
    assert!(logs[0].good(20) >= 5.0 * 500.0, "{} in the last 5 s", logs[0].good(20));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_used_is_not_widened() {
    let limiter = Limiter::new(LimiterSettings::default());
    for _ in 0..100 {
        let (one, other) = (limiter.acquire().await, limiter.acquire().await);
        sleep(Duration::from_millis(50)).await;
        one.done(SizeClass::of(0), Duration::from_millis(50));
        other.done(SizeClass::of(0), Duration::from_millis(50));
    }
    let state = limiter.state();
    assert_eq!((state.width, state.in_flight, state.pace_per_second, state.throttles), (32, 0, None, 0));
}

#[tokio::test(start_paused = true)]
async fn what_one_job_learns_the_next_begins_with() {
    let limiter = Limiter::new(LimiterSettings::default());
    let mut permits = Vec::new();
    for _ in 0..8 {
        permits.push(limiter.acquire().await);
    }
    advance(Duration::from_millis(100)).await;
    permits.drain(..).for_each(|permit| permit.throttled(None));
    let learnt = limiter.clone().state();
    assert_eq!((learnt.throttles, learnt.in_flight), (8, 0));
    assert!(learnt.pace_per_second.is_some_and(|pace| pace <= 80.0), "{learnt:?}");
}

#[tokio::test(start_paused = true)]
async fn slots_go_to_who_has_waited_longest_and_come_back_from_who_gives_up() {
    let limiter = Limiter::new(LimiterSettings { start: 1, cap: 1 });
    let (held, begun, mut running) = (limiter.acquire().await, Instant::now(), JoinSet::new());
    for number in 0..10 {
        let limiter = limiter.clone();
        running.spawn(async move {
            // every other one gives up while it waits, the first of them at the head of the queue
            let patience = Duration::from_millis(if number % 2 == 0 { 10 } else { 10_000 });
            let permit = timeout(patience, limiter.acquire()).await.ok()?;
            sleep(Duration::from_millis(10)).await;
            if number % 4 == 1 {
                permit.failed()
            } else {
                drop(permit)
            }
            Some((begun.elapsed().as_millis(), number))
        });
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(limiter.state().in_flight, 1);
    drop(held);
    // the slot is free, and yet it is not for who comes last
    drop(limiter.acquire().await);
    let last = (begun.elapsed().as_millis(), 10);
    let mut served: Vec<_> = running.join_all().await.into_iter().flatten().chain([last]).collect();
    served.sort_unstable();
    assert_eq!(served, [(110, 1), (120, 3), (130, 5), (140, 7), (150, 9), (150, 10)]);
    assert_eq!(limiter.state().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn all_stop_for_as_long_as_a_silent_service_asks() {
    let limiter = Limiter::new(LimiterSettings::default());
    let mut permits = Vec::new();
    for _ in 0..8 {
        permits.push(limiter.acquire().await);
    }
    advance(Duration::from_millis(600)).await;
    permits.drain(..).for_each(|permit| permit.throttled(Some(Duration::from_secs(3))));
    assert!(limiter.state().is_paused);
    let begun = Instant::now();
    let _permit = limiter.acquire().await;
    assert_eq!((begun.elapsed(), limiter.state().is_paused), (Duration::from_secs(3), false));
}
