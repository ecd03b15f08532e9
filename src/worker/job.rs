//! Runs one message: bytes to a request, a request to jobs, a job to a replica. Knows no broker's verbs.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use time::OffsetDateTime;

use super::brake::Passage;
use super::context::Context;
use super::history::History;
use super::hold::Hold;
use super::needed;
use crate::events::{Incoming, Parsed, fallback_id, parse};
use crate::failure::{Failure, FailureKind};
use crate::model::{AssetRef, Replicated, ReplicationJob, ReplicationRequest, SiteName};
use crate::rabbitmq::Message;
use crate::replication::{AllSites, Budget, Progress, Resolution, give_back, named_jobs, replicate, resolve};
use crate::telemetry::{Holding, Part, WorkMetrics};

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

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What it came to.
    pub result: Result<Product, Failure>,
    /// The failure is everybody's: what the message needs is down, so that this uses up no attempt.
    pub put_off: bool,
}

impl From<Result<Product, Failure>> for Ended {
    fn from(result: Result<Product, Failure>) -> Self {
        Self { result, put_off: false }
    }
}

/// Runs one message. A panic is a failed job, not a dead worker.
/// What it has copied is to be read from `progress`, whatever it comes to.
pub async fn run(
    context: &Context,
    message: &Message,
    history: &History,
    progress: &Progress,
    hold: &Hold,
    holding: &Holding,
) -> Ended {
    let guarded = AssertUnwindSafe(run_unguarded(context, message, history, progress, hold, holding)).catch_unwind();
    guarded.await.unwrap_or_else(|panic| {
        let message = format!("the job panicked, which is a bug: {}", panic_text(panic.as_ref()));
        Err(Failure::transient("panicked", message).with_hint("report it with the log lines before this one")).into()
    })
}

async fn run_unguarded(
    context: &Context,
    message: &Message,
    history: &History,
    progress: &Progress,
    hold: &Hold,
    holding: &Holding,
) -> Ended {
    let incoming = incoming(message);
    let request = match read(context, &incoming) {
        Ok(Parsed::Request(request)) => request,
        Ok(Parsed::Ignored { reason, detail }) => return Ok(Product::Ignored { reason, detail }).into(),
        Err(failure) => return Err(failure).into(),
    };
    let site = |site: &Option<SiteName>| site.as_ref().map(ToString::to_string);
    holding.asks(asset_of(&request), site(&request.site), site(&request.replica));
    let id = fallback_id(&incoming);
    let used = context.sites.get();
    let passage = if left(context, history).is_zero() {
        // Its last time: it fails as what it fails of, and gives back what it has left at the sites.
        Ok(context.brakes.pass(&id))
    } else {
        context.brakes.enter(&id, needed::at_first(&used.sites, &request))
    };
    let mut passage = match passage {
        Ok(passage) => passage,
        Err(failure) => return Ended { result: Err(failure), put_off: true },
    };
    let run = Run { context, sites: &used.sites, history, progress, hold, holding };
    // Boxed: it is large, and every delivery, be it usable or not, would make room for it and be moved with it.
    match Box::pin(run.request(&request, &mut passage)).await {
        Ok(Ok(product)) => {
            if matches!(product, Product::Replica(_)) {
                passage.succeeded();
            }
            Ok(product).into()
        }
        Ok(Err(failure)) => {
            let failure = context.sites.judge(failure, &used, history.age(OffsetDateTime::now_utc()));
            let put_off = passage.failed(&failure);
            Ended { result: Err(failure), put_off }
        }
        Err(Down(failure)) => Ended { result: Err(failure), put_off: true },
    }
}

fn read(context: &Context, incoming: &Incoming<'_>) -> Result<Parsed, Failure> {
    let (bytes, limit) = (incoming.body.len(), context.worker.max_message_bytes);
    if bytes > limit {
        return Err(Failure::invalid("too-large", format!("body has {bytes} bytes, {limit} are allowed"))
            .with_hint("raise worker.max_message_bytes if such messages are right"));
    }
    parse(incoming)
}

/// What the job turned out to need is down.
struct Down(Failure);

/// What a run works with.
struct Run<'a> {
    context: &'a Context,
    sites: &'a AllSites,
    history: &'a History,
    progress: &'a Progress,
    hold: &'a Hold,
    holding: &'a Holding,
}

impl Run<'_> {
    async fn request(
        &self,
        request: &ReplicationRequest,
        passage: &mut Passage,
    ) -> Result<Result<Product, Failure>, Down> {
        let Self { sites, history, .. } = self;
        let begun = Instant::now();
        self.progress.at("resolve");
        let resolved = resolve(request, history.first_seen, history.attempt, sites).await;
        WorkMetrics::took(Part::ControlPlane, begun.elapsed());
        if let Err(failure) = &resolved
            && !matches!(failure.kind, FailureKind::NeedsMoreTime { .. })
        {
            give_back_all(sites, request, history).await;
        }
        let jobs = match resolved {
            Ok(Resolution::Jobs(jobs)) => jobs,
            Ok(Resolution::Ignored { reason, detail }) => return Ok(Ok(Product::Ignored { reason, detail })),
            Err(failure) => return Ok(Err(failure)),
        };
        passage.got_on("resolve");
        tracing::debug!(step = "resolve", seconds = begun.elapsed().as_secs_f64(), "step done");
        let [job] = jobs.as_slice() else { return Ok(Ok(Product::Split(jobs))) };
        self.holding.asks(job.asset_id.clone(), Some(job.source.to_string()), Some(job.replica.to_string()));
        if !self.left().is_zero() {
            passage.add(needed::by_job(sites, job)).map_err(Down)?;
        }
        Ok(self.job(job, passage).await)
    }

    async fn job(&self, job: &ReplicationJob, passage: &Passage) -> Result<Product, Failure> {
        let sites = self.sites.pair(job)?;
        let slice = Duration::from_secs(self.context.worker.slice_seconds);
        let budget = Budget::of(slice, self.left(), self.hold.job_has());
        let replicated = tokio::select! {
            replicated = replicate(job, &sites, budget, self.progress) => replicated,
            never = passage.watch(self.progress) => match never {},
        };
        let mut replica = replicated?;
        replica.copy = replica.copy.after(self.history.copied);
        Ok(Product::Replica(Box::new(replica)))
    }

    /// What is left of the message's deadline.
    fn left(&self) -> Duration {
        left(self.context, self.history)
    }
}

/// How a request names what was encoded.
fn asset_of(request: &ReplicationRequest) -> String {
    match &request.asset {
        AssetRef::Id(text) | AssetRef::Name(text) | AssetRef::EncodingJob(text) => text.clone(),
        AssetRef::Location(location) => location.to_string(),
    }
}

fn left(context: &Context, history: &History) -> Duration {
    context.deadline().saturating_sub(history.age(OffsetDateTime::now_utc()))
}

/// The message may end here, and the jobs that it became in earlier slices will not come to give back what they left.
async fn give_back_all(sites: &AllSites, request: &ReplicationRequest, history: &History) {
    for job in named_jobs(request, history.first_seen, sites) {
        if let Ok(sites) = sites.pair(&job) {
            give_back(&job, &sites).await;
        }
    }
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
