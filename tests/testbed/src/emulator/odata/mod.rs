//! OData v3 as the service spoke it: types, dates, paths, queries, bodies and replies, without any state.

pub(crate) mod body;
pub(crate) mod dates;
pub(crate) mod edm;
pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod metadata;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod render;
pub(crate) mod schema;
mod tables;
