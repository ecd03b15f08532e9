//! Faults as data: which requests fail, how, and how many times. Rules come and go while the emulator runs.

use serde::Deserialize;

use super::state::State;
use super::traffic::{DoorKind, Request};

/// One fault. A request meets the first rule that matches it; a rule is gone when its count is used up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The door at which it happens.
    #[serde(default)]
    pub door: DoorKind,
    /// The HTTP method, in any case; every method when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// A part of the path as it was sent (or of the query); every path when absent.
    #[serde(default)]
    pub path_contains: Option<String>,
    /// The entity set or function that the path begins with; every one when absent.
    #[serde(default)]
    pub entity_set: Option<String>,
    /// The account of the token or of the streaming endpoint; every account when absent.
    #[serde(default)]
    pub account: Option<String>,
    /// What happens.
    pub action: FaultAction,
    /// Whether the request is carried out first, so that only its answer is lost.
    #[serde(default)]
    pub after_commit: bool,
    /// How many matching requests are left alone first.
    #[serde(default)]
    pub skip: u32,
    /// How many requests it happens to.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

/// What a fault does to a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultAction {
    /// Answers instead of the service.
    Answer {
        /// The HTTP status.
        status: u16,
        /// What the body looks like.
        #[serde(default)]
        body: FaultBody,
        /// A `Retry-After` header, in seconds.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// Serves the request this many milliseconds late; after commit: serves it at once and answers late.
    DelayMilliseconds(u64),
    /// Closes the connection without an answer.
    Drop,
    /// Answers 401 and never accepts the token again.
    RevokeToken,
}

/// The body of a fault's answer (contract ams-v2 section 5.1: gateways answer HTML or nothing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultBody {
    /// An OData error in the flavour that was asked for.
    #[default]
    Odata,
    /// An HTML page, as from a gateway.
    Html,
    /// Nothing.
    Empty,
}

/// How a data centre is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    /// Its doors refuse connections; open ones are closed.
    Refused,
    /// Its doors answer 503 to everything.
    Unavailable,
}

impl FaultRule {
    /// A rule for every request to a cluster, once.
    pub const fn new(action: FaultAction) -> Self {
        Self {
            door: DoorKind::Cluster,
            method: None,
            path_contains: None,
            entity_set: None,
            account: None,
            action,
            after_commit: false,
            skip: 0,
            times: 1,
        }
    }

    /// An OData error with this status.
    pub const fn status(status: u16) -> Self {
        Self::new(FaultAction::Answer { status, body: FaultBody::Odata, retry_after_seconds: None })
    }

    /// Only this method on this entity set or function.
    #[must_use]
    pub fn on(mut self, method: &str, entity_set: &str) -> Self {
        self.method = Some(method.to_owned());
        self.entity_set = Some(entity_set.to_owned());
        self
    }

    /// At another door than the cluster.
    #[must_use]
    pub const fn at(mut self, door: DoorKind) -> Self {
        self.door = door;
        self
    }

    /// Only this account.
    #[must_use]
    pub fn of_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only paths with this text in them.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path_contains = Some(part.to_owned());
        self
    }

    /// The request is carried out, and then the fault happens.
    #[must_use]
    pub const fn after_commit(mut self) -> Self {
        self.after_commit = true;
        self
    }

    /// Leaves this many matching requests alone first.
    #[must_use]
    pub const fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Happens to this many requests.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found.is_some_and(|found| wanted.eq_ignore_ascii_case(found)))
        };
        self.door == request.door
            && same(&self.method, Some(&request.method))
            && same(&self.entity_set, request.entity_set.as_deref())
            && same(&self.account, request.account.as_deref())
            && self.path_contains.as_deref().is_none_or(|part| request.path.contains(part))
    }
}

impl State {
    /// Takes the fault that is due for a request, if any.
    pub(crate) fn take_fault(&mut self, request: &Request) -> Option<FaultRule> {
        let rule = self.faults.iter_mut().find(|rule| rule.matches(request))?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times = rule.times.saturating_sub(1);
        let due = rule.clone();
        self.faults.retain(|rule| rule.times > 0);
        Some(due)
    }
}
