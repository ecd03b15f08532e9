//! The one integration binary: a list of stories.

mod blob_store;
mod replicate;
mod support;
mod tidy;
