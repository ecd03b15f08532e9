//! The queue worker: takes deliveries, runs their jobs, settles them; lives through lost sessions and drains on shutdown.

mod brake;
mod context;
mod current_sites;
mod delivery;
mod failed;
mod heartbeat;
pub(crate) mod history;
mod hold;
mod isolation;
mod job;
mod letters;
mod needed;
mod outbox;
mod shutdown;
mod tell;
mod topology;

pub use context::{Context, worker_name};
pub use shutdown::{Shutdown, listen_for_signals};

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::BackoffBuilder;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::http::FullJitter;
use crate::rabbitmq::{Deliveries, RabbitmqError, Session};
use crate::telemetry::WorkMetrics;

/// Waits between tries to open a session.
const RECONNECT: FullJitter =
    FullJitter { base: Duration::from_millis(250), cap: Duration::from_secs(15), delays: usize::MAX };
/// How long jobs get to notice that they are cancelled.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// All running jobs ended by themselves.
    Whole,
    /// Some were cancelled; their messages went back to the queue.
    CutShort,
}

/// Works until `shutdown`. The order of a shutdown:
///
/// 1. a signal comes;
/// 2. readiness turns false, and no new session is opened;
/// 3. the consumer is cancelled, the connections and their heartbeats stay;
/// 4. running jobs get `worker.grace_seconds`;
/// 5. then, or at a second signal, they are cancelled: they stop at the next await and their messages go back;
/// 6. publisher, channels and connections are closed;
/// 7. what cancelled jobs held at the sites is given back;
/// 8. the log says how many jobs were done and how many messages went back;
/// 9. the exit code says which it was.
pub async fn run(context: Arc<Context>, shutdown: &Shutdown) -> Drained {
    let (mut failures, mut missing_is_told, mut waits) = (0_u32, false, RECONNECT.build());
    let mut drained = Drained::Whole;
    let (stopping, health) = (shutdown.soft.clone(), context.health.clone());
    let at_once = tokio::spawn(async move {
        stopping.cancelled().await;
        health.stopping();
    });
    WorkMetrics::broker(false, false);
    let _heartbeat = heartbeat::begin(&context);
    while !shutdown.soft.is_cancelled() {
        let opened = tokio::select! {
            () = shutdown.soft.cancelled() => break,
            opened = open(&context) => opened,
        };
        match opened {
            Ok((session, deliveries)) => {
                tracing::info!(concurrency = context.worker.concurrency, failed_tries = failures, "consuming");
                (failures, missing_is_told) = (0, false);
                let opened = Instant::now();
                drained = serve(&context, session, deliveries, shutdown).await;
                // Waits begin anew only after a session that lasted: one that ends at once, again and again, as with a
                // message that breaks it, must not be rebuilt in a spin.
                if opened.elapsed() > RECONNECT.cap {
                    waits = RECONNECT.build();
                }
            }
            Err(error) => {
                // The first failure and the recovery are worth a line, not every try; so is what an operator has to make.
                context.health.not_ready(&error.to_string());
                let is_missing = matches!(error, RabbitmqError::Missing(_));
                if failures == 0 || (is_missing && !missing_is_told) {
                    missing_is_told = is_missing;
                    tracing::error!(error = %error, "broker cannot be used; trying again until it can");
                }
                failures = failures.saturating_add(1);
            }
        }
        let wait = waits.next().unwrap_or(RECONNECT.cap);
        tokio::select! { () = shutdown.soft.cancelled() => {}, () = tokio::time::sleep(wait) => {} }
    }
    at_once.await.ok();
    context.sites.last().close(CANCEL_PATIENCE).await;
    let (done, handed_back) = context.counts();
    tracing::info!(done, handed_back, cut_short = drained == Drained::CutShort, "stopped");
    drained
}

async fn open(context: &Context) -> Result<(Session, Deliveries), RabbitmqError> {
    topology::prepare(&context.rabbitmq, &context.topology).await?;
    Session::open(&context.rabbitmq, Some(context.worker.concurrency)).await
}

/// One session, from its first delivery to its end.
async fn serve(context: &Arc<Context>, session: Session, mut deliveries: Deliveries, shutdown: &Shutdown) -> Drained {
    let jobs = TaskTracker::new();
    let stop = session.ended();
    let publisher = session.publisher();
    let (mut blocked, mut refused) = (publisher.blocked(), context.refusals.watch());
    loop {
        // Who cannot publish can settle nothing.
        let (is_blocked, is_refused) = (*blocked.borrow_and_update(), *refused.borrow_and_update() > 0);
        WorkMetrics::broker(true, is_blocked);
        match (is_blocked, is_refused) {
            (true, _) => context.health.not_ready("the broker blocks the connection: look at its alarms"),
            (_, true) => {
                context.health.not_ready("the broker refuses what settles deliveries: see `cannot publish` in the log")
            }
            _ => context.health.ready(),
        }
        tokio::select! {
            biased;
            () = shutdown.soft.cancelled() => break,
            Ok(()) = blocked.changed() => {}
            Ok(()) = refused.changed() => {}
            delivery = deliveries.next() => match delivery {
                Some(delivery) => {
                    let work = delivery::handle(Arc::clone(context), delivery, publisher.clone(), stop.clone(), shutdown.hard.clone());
                    jobs.spawn(work);
                }
                None => break,
            },
        }
    }
    if shutdown.soft.is_cancelled() {
        context.health.stopping();
    } else {
        context.health.not_ready(session.end_reason().unwrap_or("the deliveries have ended"));
    }
    WorkMetrics::broker(!stop.is_cancelled(), false);
    jobs.close();
    let drained = if stop.is_cancelled() {
        // Without a signal it is the broker that cut those jobs short, and the worker's own end is yet to come.
        let signalled = shutdown.soft.is_cancelled();
        ended_early(&session, &jobs).await;
        if signalled { Drained::CutShort } else { Drained::Whole }
    } else {
        drain(context, &session, &mut deliveries, &jobs, shutdown).await
    };
    session.close().await;
    WorkMetrics::broker(false, false);
    drained
}

/// The session was lost: its jobs stop at their next await, and the broker delivers their messages again.
async fn ended_early(session: &Session, jobs: &TaskTracker) {
    tracing::warn!(
        running = jobs.len(),
        reason = session.end_reason(),
        "session with the broker ended; its jobs are cancelled, their messages come again"
    );
    if timeout(CANCEL_PATIENCE, jobs.wait()).await.is_err() {
        tracing::warn!(running = jobs.len(), "jobs of the ended session still run");
    }
}

async fn drain(
    context: &Context,
    session: &Session,
    deliveries: &mut Deliveries,
    jobs: &TaskTracker,
    shutdown: &Shutdown,
) -> Drained {
    let grace = Duration::from_secs(context.worker.grace_seconds);
    tracing::info!(running = jobs.len(), grace_seconds = grace.as_secs(), "draining; a second signal stops at once");
    if let Err(error) = session.stop_consuming().await {
        tracing::warn!(error = %error, "consumer could not be cancelled");
    }
    let jobs_end = async {
        // What the broker sent ahead goes back at once instead of waiting out the grace.
        while deliveries.next().await.is_some() {}
        jobs.wait().await;
    };
    let whole = tokio::select! {
        // A second signal ends the jobs too, often before this task hears of it.
        () = jobs_end => !session.ended().is_cancelled() && !shutdown.hard.is_cancelled(),
        () = tokio::time::sleep(grace) => false,
        () = shutdown.hard.cancelled() => false,
    };
    if whole {
        return Drained::Whole;
    }
    shutdown.hard.cancel();
    if timeout(CANCEL_PATIENCE, jobs.wait()).await.is_err() {
        tracing::warn!(running = jobs.len(), "jobs did not stop in time; the broker delivers their messages again");
    }
    Drained::CutShort
}
