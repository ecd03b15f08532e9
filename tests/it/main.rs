//! The one integration binary: a list of stories.

mod tidy;
