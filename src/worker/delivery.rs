//! One delivery from its arrival to its settlement: run, decide, publish, and only then acknowledge.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::context::Context;
use super::failed;
use super::history::History;
use super::hold::Hold;
use super::job::{self, Ended, Product};
use super::letters::{self, Letter, Used};
use super::outbox::Outbox;
use super::tell;
use crate::events::{OutgoingEvent, Parsed, encode_job, encode_replicated, parse};
use crate::failure::{DeadLetterClass, Failure, Settlement};
use crate::model::Replicated;
use crate::rabbitmq::{Delivery, Publisher};
use crate::replication::Progress;
use crate::settle::{Circumstances, Outcome, decide};
use crate::telemetry::{Arrived, Holding, traces};

/// Handles one delivery. `ended` is cancelled when its session is lost, `hard` when the shutdown's grace is over.
pub async fn handle(
    context: Arc<Context>,
    delivery: Delivery,
    publisher: Publisher,
    ended: CancellationToken,
    hard: CancellationToken,
) {
    let history =
        History::read(&delivery.message, &delivery.exchange, &delivery.routing_key, OffsetDateTime::now_utc());
    let progress = Arc::new(Progress::after(history.copied));
    let holding = hold_in_sight(&context, &delivery, &history, &progress);
    let id = delivery.message.message_id.as_deref().unwrap_or("-");
    let span = tracing::info_span!("message", id, attempt = history.attempt);
    let traced = traced(&context, &delivery);
    let handled = handle_in_span(&context, delivery, &publisher, (&ended, &hard), &history, (&progress, &holding))
        .instrument(traced)
        .instrument(span);
    // A panic of the job is caught nearer; one in its settling would leave the delivery in our hands for ever.
    if AssertUnwindSafe(handled).catch_unwind().await.is_err() {
        tracing::error!(
            "settling a message panicked, which is a bug; the session ends, so that the broker has it back"
        );
        ended.cancel();
    }
}

/// Lets `/jobs` tell of a delivery until what it gives is dropped.
fn hold_in_sight(context: &Context, delivery: &Delivery, history: &History, progress: &Arc<Progress>) -> Holding {
    let arrived = Arrived {
        message_id: delivery.message.message_id.clone(),
        attempt: history.attempt,
        slice: history.slice,
        first_seen: history.first_seen,
    };
    let progress = Arc::clone(progress);
    context.in_hand.take(arrived, move || progress.standing())
}

/// The delivery's part of the trace that its message names, in its body or its headers.
fn traced(context: &Context, delivery: &Delivery) -> Span {
    if !traces::are_wanted() {
        return Span::none();
    }
    let (message, queue) = (&delivery.message, context.topology.work_queue());
    let incoming = job::incoming(message);
    let told = match parse(&incoming) {
        Ok(Parsed::Request(request)) => request.traceparent,
        _ => None,
    };
    let traceparent = told.as_deref().or_else(|| incoming.headers.get("traceparent").copied());
    let delivered = traces::Delivered {
        queue: &queue,
        exchange: &delivery.exchange,
        key: &delivery.routing_key,
        id: message.message_id.as_deref(),
        bytes: message.body.len(),
    };
    traces::processing(delivered, traceparent, incoming.headers.get("tracestate").copied())
}

async fn handle_in_span(
    context: &Context,
    delivery: Delivery,
    publisher: &Publisher,
    (ended, hard): (&CancellationToken, &CancellationToken),
    history: &History,
    (progress, holding): (&Progress, &Holding),
) {
    let hold = Hold::begin(Duration::from_secs(context.worker.max_hold_seconds));
    let running = run_in_turn(context, &delivery, history, progress, &hold, holding);
    let mut run = tokio::select! {
        biased;
        () = ended.cancelled() => None,
        () = hard.cancelled() => None,
        failure = hold.job_is_over() => Some(Err(failure).into()),
        run = running => Some(run),
    };
    let ran = Instant::now();
    progress.at("settle");
    let settlement = decide(outcome(run.as_ref()), circumstances(context, history));
    if let (Settlement::DeadLetter(DeadLetterClass::Expired), Some(Ended { result: Err(failure), .. })) =
        (settlement, &mut run)
    {
        failure.expire();
    }
    let letters = letters_for(context, &delivery, &history.with(progress.count()), run.as_ref(), settlement);
    let outbox = Outbox { publisher, refusals: &context.refusals, ended, hard };
    let mut went_round = false;
    for letter in letters {
        let is_settled = tokio::select! {
            stored = outbox.store(&letter).instrument(letter.span.clone()) => stored,
            () = hold.is_over() => {
                tracing::error!(exchange = letter.exchange, key = letter.key, "could not be published in time; the message goes round");
                went_round = outbox.store_soon(&round(context, &delivery, &history.with(progress.count()), &letter)).await;
                went_round
            }
        };
        if !is_settled {
            tell::count(context, run.as_ref(), Settlement::HandBack);
            return hand_back(context, delivery, ended).await;
        }
        if went_round {
            break;
        }
    }
    if settlement == Settlement::HandBack {
        tell::count(context, run.as_ref(), settlement);
        return hand_back(context, delivery, ended).await;
    }
    match delivery.ack().await {
        Ok(()) if went_round => {
            context.count_handed_back();
            tell::count(context, run.as_ref(), Settlement::HandBack);
        }
        Ok(()) => {
            context.count_done();
            tell::count(context, run.as_ref(), settlement);
            tracing::debug!(step = "settle", seconds = ran.elapsed().as_secs_f64(), "step done");
            if let Some(run) = &run {
                tell::log(context, run, settlement);
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, "not acknowledged; it will be delivered again, which does no harm")
        }
    }
}

/// Runs the job, alone where that must be; what is put off for an outage waits for its turn to go round.
async fn run_in_turn(
    context: &Context,
    delivery: &Delivery,
    history: &History,
    progress: &Progress,
    hold: &Hold,
    holding: &Holding,
) -> Ended {
    progress.at("wait_for_turn");
    let turn = context.isolation.turn(delivery).await;
    let run = job::run(context, &delivery.message, history, progress, hold, holding).await;
    drop(turn);
    if run.put_off {
        progress.at("wait_for_outage");
        context.brakes.pace().await;
    }
    run
}

fn outcome(run: Option<&Ended>) -> Outcome {
    match run.map(|run| (&run.result, run.put_off)) {
        None => Outcome::Stopped,
        Some((Ok(Product::Ignored { .. }), _)) => Outcome::Ignored,
        Some((Ok(_), _)) => Outcome::Done,
        Some((Err(_), true)) => Outcome::PutOff,
        Some((Err(failure), false)) => Outcome::Failed(failure.kind),
    }
}

fn circumstances<'a>(context: &'a Context, history: &History) -> Circumstances<'a> {
    Circumstances {
        attempt: history.attempt,
        waits: history.waits,
        age: history.age(OffsetDateTime::now_utc()),
        deadline: context.deadline(),
        max_attempts: context.worker.max_attempts,
        tiers: &context.tiers,
    }
}

/// Everything that must be stored before the delivery may be acknowledged.
fn letters_for(
    context: &Context,
    delivery: &Delivery,
    history: &History,
    run: Option<&Ended>,
    settlement: Settlement,
) -> Vec<Letter> {
    let (original, Some(run)) = (&delivery.message, run) else { return Vec::new() };
    match (&run.result, settlement) {
        (Ok(Product::Replica(replica)), _) => {
            let span = traces::publishing(context.topology.outgoing_exchange());
            let event = match traces::traceparent(&span) {
                None => encode_replicated(replica, &context.probe_path, OffsetDateTime::now_utc()),
                traceparent => {
                    let replica = Replicated { traceparent, ..Replicated::clone(replica) };
                    encode_replicated(&replica, &context.probe_path, OffsetDateTime::now_utc())
                }
            };
            vec![letters::event(context, &event, original, span)]
        }
        (Ok(Product::Split(jobs)), _) => {
            let events: Vec<OutgoingEvent> = jobs.iter().map(encode_job).collect();
            events.iter().map(|event| letters::split(context, event, original, history)).collect()
        }
        (Err(failure), Settlement::Retry { tier }) => {
            vec![letters::again(context, original, history, failure, Some(tier), Used::Attempt)]
        }
        (Err(failure), Settlement::Continue { tier }) => {
            let used = if run.put_off { Used::Nothing } else { Used::Slice };
            vec![letters::again(context, original, history, failure, tier, used)]
        }
        (Err(failure), Settlement::DeadLetter(class)) => {
            // The event first: should the worker die in between, what comes twice is the event, which its id tells.
            let events = failed::events(context, original, history, failure, class.name());
            let event = |(event, span): &(OutgoingEvent, Span)| letters::event(context, event, original, span.clone());
            let mut letters: Vec<_> = events.iter().map(event).collect();
            letters.push(letters::dead(context, original, history, failure, class.name()));
            letters
        }
        (Err(failure), Settlement::Park) => vec![letters::parked(context, original, history, failure)],
        _ => Vec::new(),
    }
}

/// The delivery as a new message, for what it comes to cannot be stored: handing it back, again and again, would count as
/// deliveries, after some of which the broker takes it for a crash loop. Through the shortest retry queue, or at once.
fn round(context: &Context, delivery: &Delivery, history: &History, refused: &Letter) -> [Letter; 2] {
    let (exchange, key) = (&refused.exchange, &refused.key);
    let message = format!("exchange `{exchange}`, key `{key}` took nothing for as long as a delivery is held");
    let failure = Failure::needs_more_time("settlement-refused", message, Duration::ZERO)
        .with_hint("look whether a queue is bound there that has room");
    [Some(0), None].map(|tier| letters::again(context, &delivery.message, history, &failure, tier, Used::Nothing))
}

async fn hand_back(context: &Context, delivery: Delivery, ended: &CancellationToken) {
    context.count_handed_back();
    if ended.is_cancelled() {
        return; // the broker has taken it back already
    }
    if let Err(error) = delivery.hand_back().await {
        tracing::warn!(error = %error, "could not be handed back; the broker takes it back with the connection");
    }
}
