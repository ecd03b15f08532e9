//! Compares what the log knows with what the queue holds, without touching either.

use clap::Args;

use super::filter::Filter;
use super::register::Register;
use super::summary::Shelf;
use crate::rabbitmq::{LetterQueue, RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// What to look at.
#[derive(Debug, Args)]
pub struct LookArguments {
    #[command(flatten)]
    pub filter: Filter,
    /// Also letters that were replayed, edited or discarded since
    #[arg(long)]
    pub all: bool,
}

/// What the log knows, and how many letters are ready in the queue that was asked for.
pub async fn look(settings: &RabbitmqSettings, arguments: &LookArguments) -> Result<(Register, u32), RabbitmqError> {
    let (register, depth) = tokio::join!(Register::load(settings), depth(settings, arguments.filter.queue));
    // Where both are missing, the log is the better explanation.
    Ok((register?, depth?))
}

/// The queue's own name.
pub fn queue_name(settings: &RabbitmqSettings, shelf: Shelf) -> String {
    let topology = Topology::new(settings);
    match shelf {
        Shelf::Dead => topology.dead_queue(),
        Shelf::Parked => topology.parked_queue(),
    }
}

/// How many letters are ready in the queue.
pub async fn depth(settings: &RabbitmqSettings, shelf: Shelf) -> Result<u32, RabbitmqError> {
    let queue = LetterQueue::open(settings, &queue_name(settings, shelf)).await?;
    let depth = queue.depth().await?;
    queue.close().await?;
    Ok(depth)
}

/// Says on standard error where log and queue disagree.
pub fn tell_difference(register: &Register, shelf: Shelf, depth: u32) {
    let open: u32 = register.of(shelf).iter().map(|entry| entry.copies()).sum();
    let name = shelf.name();
    if depth > open {
        eprintln!(
            "note: the {name} queue holds {} more: set aside before there was a log, or longer ago than it remembers",
            depth - open
        );
    } else if depth < open {
        eprintln!(
            "note: {} of these are not in the {name} queue now: a run holds them, or one was cut off, or others took them",
            open - depth
        );
    }
}
