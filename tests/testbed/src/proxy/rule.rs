//! Faults as data: which requests a rule is for, how often, and what happens to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, Method, Uri};

use super::{CopyOutcome, ListEdit};

/// What happens to a request that a rule matches.
#[derive(Clone, Debug)]
pub enum Action {
    /// Answer an error in the service's shape without passing the request on.
    Answer(ErrorAnswer),
    /// Pass the request on, so that it takes effect, then answer an error.
    AnswerAfter(ErrorAnswer),
    /// Wait, then go on with the next rule.
    Delay(Duration),
    /// Reset the connection without passing the request on.
    Cut,
    /// Pass the request on, so that it takes effect, then reset the connection.
    CutAfter,
    /// Never answer and keep the connection open.
    Hang,
    /// Copy Blob: answer that the copy is pending, and go on saying so to whoever looks.
    PendingCopy {
        /// How many looks (Get Blob Properties, Get Blob, List Blobs) still say pending; for ever when absent.
        looks: Option<u32>,
        /// What they say afterwards.
        outcome: CopyOutcome,
    },
    /// List Blobs: change the answer's body.
    EditList(ListEdit),
}

/// An error answer of the storage service.
#[derive(Clone, Debug)]
pub struct ErrorAnswer {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) headers: Vec<(String, String)>,
}

/// A fault for the requests that all given conditions match.
#[derive(Clone, Debug)]
pub struct Rule {
    method: Option<Method>,
    path: Option<String>,
    query: Vec<String>,
    without_query: Option<String>,
    header: Option<String>,
    skip: u32,
    times: Option<u32>,
    action: Action,
}

impl Rule {
    /// This action for every request, until conditions are added.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            method: None,
            path: None,
            query: Vec::new(),
            without_query: None,
            header: None,
            skip: 0,
            times: None,
            action,
        }
    }

    /// An error answer with this status and error code ("Status and error codes", Azure Storage REST), for example
    /// 503 `ServerBusy`, 500 `OperationTimedOut`, 403 `CannotVerifyCopySource`.
    #[must_use]
    pub fn answer(status: u16, code: &str) -> Self {
        Self::new(Action::Answer(ErrorAnswer { status, code: code.to_owned(), headers: Vec::new() }))
    }

    /// The same error after the request has taken effect.
    #[must_use]
    pub fn answer_after(status: u16, code: &str) -> Self {
        Self::new(Action::AnswerAfter(ErrorAnswer { status, code: code.to_owned(), headers: Vec::new() }))
    }

    /// A copy that stays pending for so many looks and then ends like this.
    #[must_use]
    pub fn pending_copy(looks: Option<u32>, outcome: CopyOutcome) -> Self {
        Self::new(Action::PendingCopy { looks, outcome }).method(Method::PUT).header("x-ms-copy-source")
    }

    /// Lists whose body is changed.
    #[must_use]
    pub fn edit_list(edit: ListEdit) -> Self {
        Self::new(Action::EditList(edit)).method(Method::GET).query("restype=container").query("comp=list")
    }

    /// Only this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only paths (percent-encoded, as they travel) that contain this.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Only queries that contain this, for example `comp=blocklist`; may be called for several parts.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query.push(part.to_owned());
        self
    }

    /// Only queries that do not contain this: `comp=` tells the operations on a whole blob from the others.
    #[must_use]
    pub fn without_query(mut self, part: &str) -> Self {
        self.without_query = Some(part.to_owned());
        self
    }

    /// Only requests that carry this header, for example `x-ms-copy-source`.
    #[must_use]
    pub fn header(mut self, name: &str) -> Self {
        self.header = Some(name.to_lowercase());
        self
    }

    /// Leaves the first `skip` requests that match alone.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Only the first `times` requests that match; all of them when this is not called.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Adds a `Retry-After` header to an error answer.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.answer_header("retry-after", &seconds.to_string())
    }

    /// Adds a header to an error answer, for example `x-ms-copy-source-status-code`.
    #[must_use]
    pub fn answer_header(mut self, name: &str, value: &str) -> Self {
        if let Action::Answer(answer) | Action::AnswerAfter(answer) = &mut self.action {
            answer.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    fn matches(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
        let query = uri.query().unwrap_or_default();
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.path.as_ref().is_none_or(|part| uri.path().contains(part))
            && self.query.iter().all(|part| query.contains(part))
            && self.without_query.as_ref().is_none_or(|part| !query.contains(part))
            && self.header.as_ref().is_none_or(|name| headers.contains_key(name))
    }
}

/// A fault that was added to a proxy.
#[derive(Clone, Debug)]
pub struct Fault(Arc<AtomicU32>);

impl Fault {
    /// How many requests it has met so far.
    #[must_use]
    pub fn hits(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A rule with the count of its uses.
pub(super) struct ActiveRule {
    rule: Rule,
    skipped: AtomicU32,
    hits: Arc<AtomicU32>,
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, skipped: AtomicU32::new(0), hits: Arc::default() }
    }

    pub(super) fn fault(&self) -> Fault {
        Fault(self.hits.clone())
    }
}

/// What to do with this request: the delays that apply, and the action that decides, if any. Counts them as used; the
/// caller holds the lock of the rules, so that a rule for one request meets one.
pub(super) fn choose(
    rules: &[ActiveRule],
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> (Duration, Option<Action>) {
    let mut delay = Duration::ZERO;
    for ActiveRule { rule, skipped, hits } in rules {
        let used_up = rule.times.is_some_and(|times| hits.load(Ordering::Relaxed) >= times);
        if used_up || !rule.matches(method, uri, headers) {
            continue;
        }
        if skipped.load(Ordering::Relaxed) < rule.skip {
            skipped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        hits.fetch_add(1, Ordering::Relaxed);
        match &rule.action {
            Action::Delay(more) => delay += *more,
            action => return (delay, Some(action.clone())),
        }
    }
    (delay, None)
}
