//! Moves letters out of their queue: taken, stored where they go, acknowledged; recorded before and after.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::time::Duration;

use futures::future::join_all;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};

use super::Failed;
use super::book::Book;
use super::brake::Brake;
use super::chooser::{Choice, Chooser};
use super::deed::Deed;
use super::summary::Summary;
use crate::rabbitmq::{Held, LetterQueue, Message, PublishError, Publisher, RabbitmqError, Topology};

/// Letters that are on their way at the same time. Where the tool dies, no more of them are moved twice. The broker loses
/// acknowledgements where more than 32 are under way ([`Held::ack`]).
const WINDOW: usize = 30;
/// How long a round may last: the broker ends channels that hold a delivery for long (30 min where nobody changed it).
const ROUND: Duration = Duration::from_secs(300);

/// Everything that moving needs.
pub struct Mover<'a> {
    pub queue: &'a LetterQueue,
    pub publisher: &'a Publisher,
    pub topology: &'a Topology,
    pub book: &'a Book,
    pub brake: &'a Brake,
    pub deed: &'a Deed,
    /// Letters a second; `None`: as fast as it goes.
    pub rate: Option<u32>,
    /// Deliveries after which a letter may not be given back, as that may destroy it.
    pub risky: Option<RangeInclusive<u64>>,
    /// Whether to go on where a letter of this run has come back.
    pub force: bool,
    pub bar: ProgressBar,
    /// When the next letter may be sent.
    pub slot: Cell<Option<Instant>>,
}

/// What was taken out of the queue at once.
#[derive(Default)]
struct Batch {
    chosen: Vec<Chosen>,
    seen: u32,
}

/// A letter that was chosen and is held.
struct Chosen {
    held: Held,
    summary: Box<Summary>,
}

/// What a round came to.
#[derive(Default)]
pub struct Round {
    /// The letters that were moved, without their bodies.
    pub moved: Vec<Summary>,
    /// Whether there is nothing more to find before the cut-off.
    pub is_last: bool,
}

enum Fate {
    Gone(Summary),
    Back(Chosen, Option<PublishError>),
    Lost(Summary, RabbitmqError),
}

impl Mover<'_> {
    /// Looks through the first `depth` letters of the queue, moves at most `most` of them, and gives the others back.
    ///
    /// # Errors
    /// When the broker cannot be used any more; then it has everything back that was not moved.
    pub async fn round(&self, depth: u32, most: usize, chooser: &mut Chooser) -> Result<Round, Failed> {
        let (begin, mut seen) = (Instant::now(), 0);
        let (mut moved, mut rest) = (Vec::new(), Vec::new());
        let batch_size = self.rate.map_or(WINDOW, |rate| (rate as usize / 4).clamp(1, WINDOW));
        let is_last = loop {
            if moved.len() >= most || begin.elapsed() > ROUND {
                break false;
            }
            let batch = self.gather(depth - seen, batch_size.min(most - moved.len()), chooser, &mut rest).await?;
            seen += batch.seen;
            if batch.chosen.is_empty() {
                break true;
            }
            self.move_batch(batch.chosen, &mut moved, &mut rest).await;
        };
        self.queue.hand_back(rest).await?;
        Ok(Round { moved, is_last })
    }

    /// Takes letters until so many are chosen; those that are not go to the rest.
    async fn gather(
        &self,
        depth: u32,
        most: usize,
        chooser: &mut Chooser,
        rest: &mut Vec<Held>,
    ) -> Result<Batch, Failed> {
        let mut batch = Batch::default();
        while batch.seen < depth && batch.chosen.len() < most && !chooser.is_satisfied() && !self.brake.is_on() {
            let Some(mut held) = self.queue.take().await? else { break };
            batch.seen += 1;
            match chooser.choose(&held.letter) {
                Choice::Take(summary) => {
                    batch.chosen.push(Chosen { held, summary });
                    continue;
                }
                Choice::CameBack if !self.force => self.brake.stop("a letter of this run has come back"),
                Choice::CameBack | Choice::Leave => {}
            }
            if self.is_worn(&held) {
                self.brake.stop(
                    "a letter was given back many times already, and this queue may have a delivery limit at which the \
                     broker drops it: move everything with --all, or go on with --force",
                );
            }
            held.letter.message = Message::default();
            rest.push(held);
        }
        Ok(batch)
    }

    /// Moves a batch; what could not be moved goes to the rest.
    async fn move_batch(&self, batch: Vec<Chosen>, moved: &mut Vec<Summary>, rest: &mut Vec<Held>) {
        let ids = batch.iter().map(|chosen| chosen.summary.id.clone()).collect();
        if let Err(error) = self.book.record(self.publisher, self.deed.begun(), ids).await {
            self.brake.stop(format!("no record of it can be kept, so nothing is done: {error}"));
            rest.extend(batch.into_iter().map(|chosen| chosen.held));
            return;
        }
        let mut gone = Vec::new();
        for fate in join_all(batch.into_iter().map(|chosen| self.move_one(chosen, self.next_slot()))).await {
            match fate {
                Fate::Gone(summary) => gone.push(summary),
                Fate::Back(chosen, error) => {
                    error.into_iter().for_each(|error| self.brake.stop(error.to_string()));
                    rest.push(chosen.held);
                }
                Fate::Lost(summary, error) => {
                    self.brake.stop(format!("letter {} may be moved once more: {error}", summary.id));
                }
            }
        }
        let ids = gone.iter().map(|summary| summary.id.clone()).collect();
        if let Err(error) = self.book.record(self.publisher, self.deed.done(), ids).await {
            self.brake.stop(format!("the last {} letters are moved but not recorded: {error}", gone.len()));
        }
        moved.append(&mut gone);
    }

    fn is_worn(&self, held: &Held) -> bool {
        self.risky.as_ref().is_some_and(|risky| risky.contains(&held.deliveries()))
    }

    /// When the next letter may be sent; time that was lost is not made up for.
    fn next_slot(&self) -> Instant {
        let now = Instant::now();
        let Some(rate) = self.rate else { return now };
        let slot = self.slot.get().map_or(now, |slot| slot.max(now));
        self.slot.set(Some(slot + Duration::from_secs(1) / rate));
        slot
    }

    /// Stores the letter where it goes, and only then takes it out of its queue.
    async fn move_one(&self, chosen: Chosen, slot: Instant) -> Fate {
        tokio::select! {
            biased;
            // What may not be given back any more is safest where it goes.
            () = self.brake.wait(), if !self.is_worn(&chosen.held) => return Fate::Back(chosen, None),
            () = sleep_until(slot) => {}
        }
        let Chosen { held, summary } = chosen;
        let letter = &held.letter.message;
        if let Deed::Edit { from, .. } = self.deed
            && *from != letter.body
        {
            self.brake.stop("the letter in the queue has another body than the one that was edited");
            return Fate::Back(Chosen { held, summary }, None);
        }
        if let Some(message) = self.deed.message(letter, &summary.id, summary.replays, &self.book.run) {
            let (exchange, key) = (self.topology.retry_exchange(), self.topology.now_key());
            if let Err(error) = self.publisher.publish(&exchange, key, &message).await {
                return Fate::Back(Chosen { held, summary }, Some(error));
            }
        }
        match held.ack().await {
            Ok(()) => {
                self.bar.inc(1);
                Fate::Gone(*summary)
            }
            Err(error) => Fate::Lost(*summary, error),
        }
    }
}
