//! Runs one message: bytes to a request, a request to jobs, a job to a replica. Knows no broker's verbs.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use time::OffsetDateTime;

use super::context::Context;
use super::history::History;
use crate::events::{Incoming, Parsed, parse};
use crate::failure::{Failure, FailureKind};
use crate::model::{Replicated, ReplicationJob, ReplicationRequest};
use crate::rabbitmq::Message;
use crate::replication::{Budget, Progress, Resolution, give_back, named_jobs, replicate, resolve};

/// What a message came to.
#[derive(Debug)]
pub enum Product {
    /// A replica to announce.
    Replica(Box<Replicated>),
    /// Several jobs, each to become a message of its own, so that a dead site delays nobody else's replica.
    Split(Vec<ReplicationJob>),
    /// Not for us.
    Ignored {
        /// A stable word for counting.
        reason: &'static str,
        /// For the log line.
        detail: String,
    },
}

/// Runs one message. A panic is a failed job, not a dead worker.
/// What it has copied is to be read from `progress`, whatever it comes to.
pub async fn run(
    context: &Context,
    message: &Message,
    history: &History,
    progress: &Progress,
) -> Result<Product, Failure> {
    let guarded = AssertUnwindSafe(run_unguarded(context, message, history, progress)).catch_unwind();
    guarded.await.unwrap_or_else(|panic| {
        let message = format!("the job panicked, which is a bug: {}", panic_text(panic.as_ref()));
        Err(Failure::transient("panicked", message).with_hint("report it with the log lines before this one"))
    })
}

async fn run_unguarded(
    context: &Context,
    message: &Message,
    history: &History,
    progress: &Progress,
) -> Result<Product, Failure> {
    let limit = context.worker.max_message_bytes;
    if message.body.len() > limit {
        return Err(Failure::invalid(
            "too-large",
            format!("body has {} bytes, {limit} are allowed", message.body.len()),
        )
        .with_hint("raise worker.max_message_bytes if such messages are right"));
    }
    let request = match parse(&incoming(message))? {
        Parsed::Request(request) => request,
        Parsed::Ignored { reason, detail } => return Ok(Product::Ignored { reason, detail }),
    };
    let resolved = resolve(&request, history.first_seen, history.attempt, &context.sites).await;
    if let Err(failure) = &resolved
        && !matches!(failure.kind, FailureKind::NeedsMoreTime { .. })
    {
        give_back_all(context, &request, history).await;
    }
    match resolved? {
        Resolution::Ignored { reason, detail } => Ok(Product::Ignored { reason, detail }),
        Resolution::Jobs(jobs) if jobs.len() != 1 => Ok(Product::Split(jobs)),
        Resolution::Jobs(jobs) => {
            let job = &jobs[0];
            let sites = context.sites.pair(job)?;
            let mut replica = replicate(job, &sites, budget(context, history), progress).await?;
            replica.copy = replica.copy.after(history.copied);
            Ok(Product::Replica(Box::new(replica)))
        }
    }
}

/// The message may end here, and the jobs that it became in earlier slices will not come to give back what they left.
async fn give_back_all(context: &Context, request: &ReplicationRequest, history: &History) {
    for job in named_jobs(request, history.first_seen, &context.sites) {
        if let Ok(sites) = context.sites.pair(&job) {
            give_back(&job, &sites).await;
        }
    }
}

/// A slice, or what is left of the message's deadline where that is less.
fn budget(context: &Context, history: &History) -> Budget {
    let left = context.deadline().saturating_sub(history.age(OffsetDateTime::now_utc()));
    Budget::of(Duration::from_secs(context.worker.slice_seconds), left)
}

/// The message as its parser sees it.
pub fn incoming(message: &Message) -> Incoming<'_> {
    Incoming {
        body: &message.body,
        content_type: message.content_type.as_deref(),
        message_id: message.message_id.as_deref(),
        headers: message.headers.iter().filter_map(|(name, _)| Some((name, message.headers.get_text(name)?))).collect(),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
