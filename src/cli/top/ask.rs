//! Asks one worker for its metrics and its jobs, again and again, and remembers what it said before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use url::Url;

use super::answer::Answer;
use super::prometheus::Samples;
use crate::http::{HttpClient, Method, Request};

/// What is known of a worker.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where it answers.
    pub url: Url,
    /// What it last answered; `None` while it does not.
    pub up: Option<Up>,
    /// Why it does not answer, and since when.
    pub gone: Option<(String, Instant)>,
}

/// What a worker answered.
#[derive(Debug, Clone)]
pub struct Up {
    pub jobs: Answer,
    pub samples: Samples,
    /// By how much it has grown since the answer before; `None` for a first answer.
    pub change: Option<Change>,
}

/// What has changed between two answers.
#[derive(Debug, Clone)]
pub struct Change {
    pub samples: Samples,
    pub seconds: f64,
    /// Bytes that got to the replica in this time, by the number of the job.
    pub bytes: BTreeMap<u64, u64>,
}

/// Who asks.
#[derive(Debug)]
pub struct Asker {
    client: HttpClient,
    url: Url,
    before: Option<(Instant, Up)>,
    gone: Option<(String, Instant)>,
}

impl Asker {
    /// Asks below this address.
    pub fn new(client: HttpClient, url: Url) -> Self {
        Self { client, url, before: None, gone: None }
    }

    /// Nothing is known yet.
    pub fn unseen(&self) -> Seen {
        Seen { url: self.url.clone(), up: None, gone: None }
    }

    /// Asks now.
    pub async fn ask(&mut self) -> Seen {
        let answered = futures::try_join!(self.get("metrics"), self.get("jobs"));
        let read = answered.and_then(|(metrics, jobs)| {
            let jobs = serde_json::from_slice(&jobs).map_err(|error| format!("/jobs answers no jobs: {error}"))?;
            Ok((Samples::parse(&String::from_utf8_lossy(&metrics)), jobs))
        });
        let (url, now) = (self.url.clone(), Instant::now());
        match read {
            Ok((samples, jobs)) => {
                let mut up = Up { jobs, samples, change: None };
                up.change = self.before.take().map(|(then, before)| Change::between(&before, &up, now - then));
                self.before = Some((now, up.clone()));
                self.gone = None;
                Seen { url, up: Some(up), gone: None }
            }
            Err(problem) => {
                self.before = None;
                let since = self.gone.take().map_or(now, |(_, since)| since);
                self.gone = Some((problem, since));
                Seen { url, up: None, gone: self.gone.clone() }
            }
        }
    }

    /// Asks every `interval` for as long as somebody looks.
    pub async fn keep_asking(mut self, interval: Duration, tell: watch::Sender<Seen>, news: Arc<Notify>) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if tell.send(self.ask().await).is_err() {
                return;
            }
            news.notify_one();
        }
    }

    async fn get(&self, path: &str) -> Result<bytes::Bytes, String> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        let response =
            self.client.send(Request::new(Method::GET, url)).await.map_err(|error| error.reason().to_owned())?;
        if response.is_success() { Ok(response.body) } else { Err(format!("/{path} answers {}", response.status)) }
    }
}

impl Change {
    fn between(before: &Up, now: &Up, time: Duration) -> Self {
        let earlier: BTreeMap<_, _> = before.jobs.jobs.iter().map(|job| (job.number, job.bytes_done)).collect();
        // Another process at this address counts its deliveries anew.
        let is_same = before.jobs.worker.started_at == now.jobs.worker.started_at;
        let grown = |job: &super::answer::Job| {
            let then = earlier.get(&job.number).filter(|_| is_same)?;
            Some((job.number, job.bytes_done.saturating_sub(*then)))
        };
        Self {
            samples: now.samples.since(&before.samples),
            seconds: time.as_secs_f64(),
            bytes: now.jobs.jobs.iter().filter_map(grown).collect(),
        }
    }
}
