//! `/jobs`: the worker, and every delivery that it has in hand, as JSON for people's tools. Tells no secret and no body.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::OffsetDateTime;

use super::Sources;
use crate::telemetry::{JobInHand, Readiness};

/// No more deliveries are listed; those that are in hand for longest are.
const MOST: usize = 500;

/// What is answered from, and since when.
#[derive(Debug, Clone)]
pub struct Jobs {
    sources: Sources,
    started: OffsetDateTime,
}

impl Jobs {
    pub fn of(sources: Sources) -> Self {
        Self { sources, started: OffsetDateTime::now_utc() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    worker: Worker,
    /// All of them, also those that are not listed.
    in_hand: usize,
    jobs: Vec<Job>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    name: String,
    version: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    readiness: &'static str,
    /// Why it is not ready.
    reason: Option<String>,
    /// Since when it is or is not.
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    concurrency: u16,
    /// What is down around it, so that jobs that need it wait.
    down: Vec<Down>,
}

#[derive(Serialize)]
struct Down {
    what: String,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    /// Which delivery of this worker it is, from 1.
    number: u64,
    message_id: Option<String>,
    asset: Option<String>,
    source: Option<String>,
    replica: Option<String>,
    attempt: u32,
    slice: u32,
    step: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
    seconds_in_hand: f64,
    #[serde(with = "time::serde::rfc3339")]
    first_seen: OffsetDateTime,
    files_done: u64,
    files_total: u64,
    bytes_done: u64,
    bytes_total: u64,
    bytes_per_second: u64,
    copy_requests: u64,
}

/// Answers with the state of this moment.
pub async fn jobs(State(Jobs { sources, started }): State<Jobs>) -> Json<Answer> {
    let state = sources.health.watch().borrow().clone();
    let (readiness, reason) = match state.readiness {
        Readiness::Ready => ("ready", None),
        Readiness::NotReady(why) => ("notReady", Some(why)),
        Readiness::Stopping => ("stopping", Some("told to stop".to_owned())),
    };
    let worker = Worker {
        name: sources.name,
        version: env!("CARGO_PKG_VERSION"),
        started_at: whole(started),
        readiness,
        reason,
        since: whole(state.since),
        concurrency: sources.concurrency,
        down: state.down.into_iter().map(|(what, since)| Down { what, since: whole(since) }).collect(),
    };
    let (in_hand, jobs) = sources.in_hand.list(MOST);
    let now = OffsetDateTime::now_utc();
    Json(Answer { worker, in_hand, jobs: jobs.into_iter().map(|job| told(job, now)).collect() })
}

fn told(job: JobInHand, now: OffsetDateTime) -> Job {
    let JobInHand { number, arrived, asset, source, replica, held, standing } = job;
    Job {
        number,
        message_id: arrived.message_id,
        asset,
        source,
        replica,
        attempt: arrived.attempt,
        slice: arrived.slice,
        step: standing.step,
        since: whole(now - held),
        seconds_in_hand: (held.as_secs_f64() * 1e3).round() / 1e3,
        first_seen: whole(arrived.first_seen),
        files_done: standing.files_done,
        files_total: standing.files_total,
        bytes_done: standing.bytes_done,
        bytes_total: standing.bytes_total,
        bytes_per_second: standing.bytes_per_second,
        copy_requests: standing.copy_requests,
    }
}

/// Times are for people: milliseconds do.
fn whole(time: OffsetDateTime) -> OffsetDateTime {
    time.truncate_to_millisecond()
}
