//! The log of requests that tests assert on.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoorKind {
    /// The token door.
    Acs,
    /// The Entra (Azure AD) token door.
    Entra,
    /// The global front door, which only redirects.
    FrontDoor,
    /// A data centre's REST service, at its cluster's address or at that of one account.
    #[default]
    Cluster,
    /// An account's streaming endpoint.
    Streaming,
}

/// One request, logged when it was answered.
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// When it arrived, in UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Where it came in.
    pub door: DoorKind,
    /// The method after `X-HTTP-Method`.
    pub method: String,
    /// The path and query as sent.
    pub path: String,
    /// The entity set or function at the head of the path, at a cluster.
    pub entity_set: Option<String>,
    /// The account of the token or of the streaming endpoint.
    pub account: Option<String>,
    /// The HTTP status of the answer; 0 when the connection was dropped.
    pub status: u16,
}

/// A snapshot of the log.
#[derive(Debug, Clone)]
pub struct Requests(pub(crate) Vec<Request>);

impl Requests {
    /// How many requests of this method and entity set an account sent to its cluster.
    pub fn count(&self, method: &str, entity_set: &str, account: &str) -> usize {
        self.0
            .iter()
            .filter(|request| {
                request.door == DoorKind::Cluster
                    && request.method == method
                    && request.entity_set.as_deref() == Some(entity_set)
                    && request.account.as_deref() == Some(account)
            })
            .count()
    }

    /// The requests of one door.
    pub fn at(&self, door: DoorKind) -> impl Iterator<Item = &Request> {
        self.0.iter().filter(move |request| request.door == door)
    }

    /// All requests, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Request> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Requests {
    type Item = &'a Request;
    type IntoIter = std::slice::Iter<'a, Request>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
