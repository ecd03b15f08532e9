//! The one integration binary: a list of stories.

mod replicate;
mod support;
mod tidy;
