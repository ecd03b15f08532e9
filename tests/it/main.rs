//! The one integration binary: a list of stories.

mod ams_v2;
mod blob_store;
mod check;
mod china;
mod copies;
mod faults;
mod http;
mod ignored;
mod kills;
mod lease;
mod no_key;
mod one_shot;
mod parked;
mod publishing;
mod rabbitmq;
mod refusals;
mod replicate;
mod retries;
mod secrets;
mod settings;
mod shutdown;
mod slices;
mod split;
mod support;
mod tidy;
mod walkthrough;
