//! TLS with real certificates: whom we believe, who believes us, and what is said where that fails.

mod broker;
mod storage;
