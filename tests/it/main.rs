//! The one integration binary: a list of stories.

mod ams_v2;
mod blob_store;
mod http;
mod kills;
mod rabbitmq;
mod replicate;
mod shutdown;
mod split;
mod support;
mod tidy;
