//! The one integration binary: a list of stories.

mod blob_store;
mod http;
mod rabbitmq;
mod replicate;
mod support;
mod tidy;
