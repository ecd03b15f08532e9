//! The listeners: tokens, the global front door, the clusters; and the gate that every request passes.

pub(crate) mod acs;
pub(crate) mod control;
pub(crate) mod front_door;
pub(crate) mod gate;
pub(crate) mod listener;
pub(crate) mod reply;
pub(crate) mod token;
