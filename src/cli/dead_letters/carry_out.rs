//! Carries out a plan: round after round to the cut-off, the canaries first, then the account of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::ops::RangeInclusive;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::book::Book;
use super::brake::Brake;
use super::chooser::Chooser;
use super::mover::Mover;
use super::plan::Plan;
use super::summary::Summary;
use super::{Failed, canary, look, risk};
use crate::cli::Exit;
use crate::events::AuditRecord;
use crate::rabbitmq::{DeadLog, HandingBack, LetterQueue, OutgoingWatch, Session, Topology};
use crate::settings::RabbitmqSettings;
use crate::worker::listen_for_signals;

/// Moves what the plan says. What arrives in the queue after the look is left alone.
pub async fn carry_out(settings: &RabbitmqSettings, plan: Plan) -> Result<Exit, Failed> {
    let topology = Topology::new(settings);
    let queue = LetterQueue::open(settings, &look::queue_name(settings, plan.filter.queue)).await?;
    let handing_back = queue.handing_back(&topology).await?;
    let risky = if plan.force { None } else { risky_deliveries(&handing_back, plan.gives_back)? };
    let book = Book {
        run: Book::new_run(),
        who: plan.who.clone(),
        selection: plan.filter.words(),
        reason: plan.reason.clone(),
        new_id: match &plan.deed {
            super::deed::Deed::Edit { new_id, .. } => Some(new_id.clone()),
            _ => None,
        },
        shelf: plan.filter.queue,
        exchange: topology.dead_exchange(),
    };
    let brake = Brake::new();
    // Both listen before the first letter is sent, so that no answer is missed.
    let watching = brake.watch(DeadLog::follow(settings).await?, book.run.clone(), !plan.force);
    let events = if plan.canary.is_some() { Some(OutgoingWatch::open(settings).await?) } else { None };
    let (session, _) = Session::open(settings, None).await?;
    let signals = stop_at_signals(&brake)?;
    let publisher = session.publisher();
    let mover = Mover {
        queue: &queue,
        publisher: &publisher,
        topology: &topology,
        book: &book,
        brake: &brake,
        deed: &plan.deed,
        rate: plan.rate,
        risky,
        force: plan.force,
        bar: bar(plan.expected.len()),
        slot: Cell::default(),
    };
    let mut chooser = Chooser::new(&plan, book.run.clone());
    let moved = rounds(&mover, &plan, &mut chooser, events).await;
    mover.bar.finish_and_clear();
    let moved = moved?;
    let gone = clear_doubts(&mover, &plan, &chooser, &moved).await;
    watching.abort();
    signals.abort();
    session.close().await;
    queue.close().await?;
    Ok(account(&plan, &book, &brake, &chooser, &moved, &gone))
}

/// Deliveries after which this run may not give a letter back.
///
/// # Errors
/// Where the queue has a delivery limit at which the run could destroy letters.
fn risky_deliveries(handing_back: &HandingBack, gives_back: bool) -> Result<Option<RangeInclusive<u64>>, Failed> {
    let remedy = "or declare the queue anew with x-delivery-limit 1000000";
    if let HandingBack::Limited(cause) = handing_back
        && gives_back
    {
        return Err(Failed::Other(format!(
            "the letters that are not meant would have to be given back, which counts as a delivery, and this queue has \
             another delivery limit than ours, at which the broker drops them ({cause}): move everything with --all (letters \
             that go in circles only with --force), go on with --force, {remedy}"
        )));
    }
    risk::risky_deliveries(handing_back).map_err(|why| {
        let text = format!(
            "at its delivery limit the queue drops what is given back, and {why}: go on with --force, {remedy}"
        );
        Failed::Other(text)
    })
}

/// A signal ends the run in good order: what is held goes back.
fn stop_at_signals(brake: &Brake) -> Result<tokio::task::JoinHandle<()>, Failed> {
    let shutdown = listen_for_signals().map_err(|error| format!("signals cannot be handled: {error}"))?;
    let brake = brake.clone();
    Ok(tokio::spawn(async move {
        shutdown.soft.cancelled().await;
        brake.stop("stopped by a signal");
    }))
}

async fn rounds(
    mover: &Mover<'_>,
    plan: &Plan,
    chooser: &mut Chooser,
    events: Option<OutgoingWatch>,
) -> Result<Vec<Summary>, Failed> {
    let mut moved = Vec::new();
    let mut depth = mover.queue.depth().await?.min(plan.depth);
    if let (Some((number, seconds)), Some(mut events)) = (plan.canary, events) {
        let round = mover.round(depth, number.min(plan.limit), chooser).await?;
        depth = depth.saturating_sub(count(&round.moved));
        moved = round.moved;
        if !moved.is_empty() && !mover.brake.is_on() {
            mover.bar.set_message("waiting for the canary");
            let patience = Duration::from_secs(seconds);
            match canary::wait(&mut events, &moved, &mover.book.run, mover.brake, patience).await {
                Ok(()) => eprintln!("{} replicated, going on", letters(moved.len())),
                Err(reason) => mover.brake.stop(reason),
            }
            mover.bar.set_message("");
        }
        events.close().await;
        if round.is_last {
            return Ok(moved);
        }
    }
    while !mover.brake.is_on() && moved.len() < plan.limit {
        let round = mover.round(depth, plan.limit - moved.len(), chooser).await?;
        depth = depth.saturating_sub(count(&round.moved));
        moved.extend(round.moved);
        if round.is_last {
            break;
        }
    }
    Ok(moved)
}

/// A letter that an earlier run began to move and that is not in the queue any more was moved by that run: recorded is what
/// that one did. Gives the letters of which that is recorded now.
async fn clear_doubts(mover: &Mover<'_>, plan: &Plan, chooser: &Chooser, moved: &[Summary]) -> Vec<String> {
    let mut gone = Vec::new();
    if mover.brake.is_on() || moved.len() >= plan.limit {
        return gone;
    }
    let mut runs = BTreeMap::<&str, (&AuditRecord, Vec<String>)>::new();
    for (id, begun) in plan.unsure.iter().filter(|(id, _)| chooser.missing().contains(id)) {
        runs.entry(&begun.run).or_insert((begun, Vec::new())).1.push(id.clone());
    }
    for (begun, ids) in runs.into_values() {
        let book = Book { reason: begun.reason.clone(), new_id: begun.new_id.clone(), ..mover.book.clone() };
        match book.record(mover.publisher, begun.action.done(), ids.clone()).await {
            Ok(()) => gone.extend(ids),
            Err(error) => mover.brake.stop(format!("no record could be kept of letters that are gone: {error}")),
        }
    }
    gone
}

fn account(plan: &Plan, book: &Book, brake: &Brake, chooser: &Chooser, moved: &[Summary], gone: &[String]) -> Exit {
    let word = plan.deed.done().name();
    let missing: Vec<_> = chooser.missing().iter().filter(|id| !gone.contains(id)).collect();
    // Where it stopped early nobody knows whether they are there.
    let complete = !brake.is_on() && moved.len() < plan.limit;
    let missing = if complete { missing } else { Vec::new() };
    if plan.json {
        let ids = |letters: &[Summary]| letters.iter().map(|letter| letter.id.clone()).collect::<Vec<_>>();
        let document = json!({
            "run": book.run, "action": word, "queue": plan.filter.queue.name(), "moved": moved.len(), "ids": ids(moved),
            "refused": chooser.refused, "missing": missing, "movedBefore": gone, "stopped": brake.reason(),
            "cameBack": ids(&brake.returned()),
            "newId": book.new_id,
        });
        say!("{document:#}");
    } else {
        say!("{word} {} (run {})", letters(moved.len()), book.run);
        if let Some(id) = &book.new_id {
            say!("it is sent as {id}");
        }
    }
    if !gone.is_empty() {
        eprintln!("{} had been moved by a run that was cut off: recorded now", letters(gone.len()));
    }
    if !missing.is_empty() {
        let count = letters(missing.len());
        eprintln!(
            "{count} of the log were not in the queue, such as {}: another run holds or has moved them",
            missing[0]
        );
    }
    match brake.reason() {
        Some(reason) => {
            eprintln!("stopped: {reason}; what was not moved is in its queue again");
            Exit::Failed
        }
        None if moved.is_empty() && gone.is_empty() => Exit::Nothing,
        None => Exit::Done,
    }
}

fn letters(number: usize) -> String {
    if number == 1 { "1 letter".to_owned() } else { format!("{number} letters") }
}

fn count(moved: &[Summary]) -> u32 {
    u32::try_from(moved.len()).unwrap_or(u32::MAX)
}

/// A bar on standard error, where that is a terminal.
fn bar(expected: usize) -> ProgressBar {
    let terminal = std::io::stderr().is_terminal();
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(u64::try_from(expected).unwrap_or(u64::MAX)), target);
    let template = "{bar:30} {pos}/{len} letters  {per_sec}  ETA {eta}  {msg}";
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
