//! The only room that names reqwest: one client with limits, its errors, the back-off, and who may be sent a token.

mod allow_list;
mod backoff;
mod bounded;
mod client;
mod error;
mod message;
mod retry_after;
mod storage_transport;
mod trace_sender;

pub use allow_list::{AllowList, Refusal};
pub use backoff::{FullJitter, TRY_WITHIN};
pub use client::HttpClient;
pub use error::{HttpError, HttpErrorKind, HttpSetupError};
pub use message::{Request, Response};
pub use reqwest::Method;
pub use retry_after::retry_after;
pub use storage_transport::StorageTransport;
pub use trace_sender::TraceSender;
