//! A storage service in simulated time, to try the limiter's law on: refusals, queues, round trips, all from one seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Limiter, LimiterSettings};
use crate::replication::engine::operation::SizeClass;

const MIB: f64 = 1024.0 * 1024.0;
/// A limit lets through what it has saved in this time.
const BURST_SECONDS: f64 = 0.1;

/// What a service does, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// Requests per second beyond which it refuses.
    pub limit: Option<f64>,
    /// From when until when that limit holds, in seconds.
    pub limited: (f64, f64),
    /// Requests under way beyond which it refuses.
    pub slots: Option<usize>,
    /// Requests that it works on at once; others queue.
    pub servers: Option<usize>,
    pub round_trip_ms: u64,
    pub fixed_ms: u64,
    pub retry_after_ms: Option<u64>,
    /// Sizes of 64 KiB to 16 MiB at 33 MiB/s, in place of empty ones.
    pub has_sizes: bool,
    /// Share of requests refused for no reason.
    pub chance: f64,
    pub seed: u64,
}

/// The one that the copy engine's benchmark uses: 170 ms for a copy, 20 ms for a refusal.
pub const PLAIN: Model = Model {
    limit: None,
    limited: (0.0, f64::INFINITY),
    slots: None,
    servers: None,
    round_trip_ms: 20,
    fixed_ms: 150,
    retry_after_ms: Some(1000),
    has_sizes: false,
    chance: 0.0,
    seed: 1,
};

struct Service {
    model: Model,
    begun: Instant,
    inner: Mutex<Inner>,
    servers: Semaphore,
}

struct Inner {
    tokens: f64,
    counted_at: Instant,
    in_flight: usize,
    random: StdRng,
}

impl Service {
    fn new(model: Model) -> Self {
        let begun = Instant::now();
        let (tokens, random) = (model.limit.unwrap_or(0.0) * BURST_SECONDS, StdRng::seed_from_u64(model.seed));
        Self {
            model,
            begun,
            inner: Mutex::new(Inner { tokens, counted_at: begun, in_flight: 0, random }),
            servers: Semaphore::new(model.servers.unwrap_or(Semaphore::MAX_PERMITS)),
        }
    }

    fn vary(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds * self.inner.lock().unwrap().random.random_range(0.9..1.3))
    }

    fn takes(&self) -> bool {
        let (mut inner, now) = (self.inner.lock().unwrap(), Instant::now());
        let at = now.duration_since(self.begun).as_secs_f64();
        let is_limited = (self.model.limited.0..self.model.limited.1).contains(&at);
        if let Some(limit) = self.model.limit.filter(|_| is_limited) {
            let earned = now.duration_since(inner.counted_at).as_secs_f64() * limit;
            inner.tokens = (inner.tokens + earned).min(limit * BURST_SECONDS);
            inner.counted_at = now;
            if inner.tokens < 1.0 {
                return false;
            }
            inner.tokens -= 1.0;
        }
        let is_taken = self.model.slots.is_none_or(|slots| inner.in_flight < slots)
            && !inner.random.random_bool(self.model.chance);
        inner.in_flight += usize::from(is_taken);
        is_taken
    }

    async fn answer(&self, bytes: u64) -> Result<(), Option<Duration>> {
        let one_way = self.model.round_trip_ms as f64 / 2000.0;
        sleep(self.vary(one_way)).await;
        if !self.takes() {
            sleep(self.vary(one_way)).await;
            return Err(self.model.retry_after_ms.map(Duration::from_millis));
        }
        let served = self.servers.acquire().await.unwrap();
        sleep(self.vary(self.model.fixed_ms as f64 / 1000.0 + bytes as f64 / (33.0 * MIB))).await;
        drop(served);
        self.inner.lock().unwrap().in_flight -= 1;
        sleep(self.vary(one_way)).await;
        Ok(())
    }
}

/// What became of the requests of one worker, by the second in which they ended.
#[derive(Debug)]
pub struct Log {
    good: Vec<u64>,
    refused: Vec<u64>,
    /// The width at the end of each second.
    pub widths: Vec<usize>,
}

impl Log {
    pub fn good(&self, from: usize) -> f64 {
        self.good[from..].iter().sum::<u64>() as f64
    }

    pub fn refused(&self, from: usize) -> f64 {
        self.refused[from..].iter().sum::<u64>() as f64
    }
}

/// Lets workers that begin at these milliseconds copy as fast as they may, in `seconds` of simulated time.
pub async fn run(model: Model, starts_ms: &[u64], seconds: usize) -> Vec<Log> {
    let service = Arc::new(Service::new(model));
    let mut workers = Vec::new();
    for start_ms in starts_ms {
        let (service, start) = (Arc::clone(&service), Duration::from_millis(*start_ms));
        workers.push(tokio::spawn(async move {
            sleep(start).await;
            work(&Limiter::new(LimiterSettings::default()), &service, seconds).await
        }));
    }
    let mut logs = Vec::new();
    for worker in workers {
        logs.push(worker.await.unwrap());
    }
    logs
}

async fn work(limiter: &Limiter, service: &Arc<Service>, seconds: usize) -> Log {
    let log = Log { good: vec![0; seconds], refused: vec![0; seconds], widths: vec![0; seconds] };
    let (log, mut running) = (Arc::new(Mutex::new(log)), JoinSet::new());
    let ends = service.begun + Duration::from_secs(seconds as u64);
    loop {
        let mut permit = tokio::select! {
            permit = limiter.acquire() => permit,
            () = tokio::time::sleep_until(ends) => break,
        };
        let (limiter, service, log) = (limiter.clone(), Arc::clone(service), Arc::clone(&log));
        running.spawn(async move {
            let doublings = service.inner.lock().unwrap().random.random_range(16..25);
            let bytes = if service.model.has_sizes { 1 << doublings } else { 0 };
            loop {
                let begun = Instant::now();
                let answer = service.answer(bytes).await;
                let second = (service.begun.elapsed().as_secs() as usize).min(seconds - 1);
                let Err(retry_after) = answer else {
                    permit.done(SizeClass::of(bytes), begun.elapsed());
                    let mut log = log.lock().unwrap();
                    log.good[second] += 1;
                    log.widths[second] = limiter.state().width;
                    return;
                };
                permit.throttled(retry_after);
                log.lock().unwrap().refused[second] += 1;
                sleep(retry_after.unwrap_or_else(|| service.vary(0.5))).await;
                permit = limiter.acquire().await;
            }
        });
        while running.try_join_next().is_some() {}
    }
    running.shutdown().await;
    Arc::try_unwrap(log).unwrap().into_inner().unwrap()
}
