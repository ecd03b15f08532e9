//! What goes wrong on the way and passes again: done in the end, announced once, and never before it was so.

mod every_call;
mod given_up;
mod media_service;
mod not_ready;
mod playback;
mod queues;
mod refused_calls;
mod storage;
mod verification;

use crate::support::story::{AGAIN, ONE_BY_ONE, SITES, Story, header};
