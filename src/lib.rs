//! Copies every finished streaming asset to the other data centre, proves that it plays there, and announces it.
//!
//! # The map
//!
//! A delivery becomes a request, a request becomes jobs, a job becomes a replica, a replica becomes an event, and only
//! then is the delivery settled. The rooms, lowest floor first; a room imports only from lower floors (kept by a test):
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`model`]: values of the trade, no I/O |
//! | 1 | [`failure`], [`settings`], [`telemetry`], [`tls`], [`manifests`] (HLS, DASH, Smooth; pure) |
//! | 2 | [`http`] (reqwest), [`events`] (wire formats), [`rabbitmq`] (lapin), [`settle`] (pure decisions) |
//! | 3 | [`blob_store`] (Azure's blob SDK) |
//! | 4 | [`media_service`] (one folder per kind of service) |
//! | 5 | [`replication`]: the heart, `replicate()` |
//! | 6 | [`worker`]: take, run, settle; [`admin`] (axum): what operators' tools ask |
//! | 7 | [`cli`]: one file per command |

pub mod admin;
pub mod blob_store;
pub mod cli;
pub mod events;
pub mod failure;
pub mod http;
pub mod manifests;
pub mod media_service;
pub mod model;
pub mod rabbitmq;
pub mod replication;
pub mod settings;
pub mod settle;
pub mod telemetry;
pub mod tls;
pub mod worker;
