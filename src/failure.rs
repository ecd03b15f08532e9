//! What can become of a delivery: how a job fails (four kinds) and what is then done with its message (settlements).

use std::fmt;
use std::time::Duration;

use crate::model::SiteName;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The four kinds of failure; each has its own settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The message itself is unusable. Parked with its body untouched.
    Invalid,
    /// Trying again cannot help. Dead-lettered, with a hint for the operator.
    Permanent,
    /// Trying again later may help. Uses up an attempt.
    Transient {
        /// How long the other side asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Nothing is wrong, it is just not ready. Uses up no attempt.
    NeedsMoreTime {
        /// When a look is worth while again.
        check_after: Duration,
    },
}

impl FailureKind {
    /// The word used in headers, logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Permanent => "permanent",
            Self::Transient { .. } => "transient",
            Self::NeedsMoreTime { .. } => "needs-more-time",
        }
    }
}

/// A part of a site that can be down as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The media service, with the door that gives its tokens.
    MediaService,
    /// The storage account.
    Storage,
    /// The streaming endpoint.
    Streaming,
}

impl Part {
    /// The words used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MediaService => "media service",
            Self::Storage => "storage",
            Self::Streaming => "streaming endpoint",
        }
    }
}

/// What jobs depend on besides the broker: one part of one site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dependency {
    /// The site.
    pub site: SiteName,
    /// Which part of it.
    pub part: Part,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of site '{}'", self.part.name(), self.site)
    }
}

/// A failure as an adapter or a step reports it: classified once, where the cause is known.
#[derive(Debug)]
pub struct Failure {
    /// Which of the four.
    pub kind: FailureKind,
    /// Stable code for grouping, such as `asset-encrypted`.
    pub code: &'static str,
    /// What happened, for people: lower case, no full stop, no secret.
    pub message: Box<str>,
    /// What an operator can do about it.
    pub hint: Option<Box<str>>,
    /// The step of the pipeline it happened in.
    pub step: Option<&'static str>,
    /// The site it happened at.
    pub site: Option<SiteName>,
    /// The part of that site which answers nobody as it seems, where the failure is not this asset's alone.
    pub part: Option<Part>,
    /// The service has more to do than it may: fewer requests at once would help.
    pub is_throttled: bool,
    source: Option<Source>,
}

impl Failure {
    fn new(kind: FailureKind, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into().into_boxed_str();
        Self { kind, code, message, hint: None, step: None, site: None, part: None, is_throttled: false, source: None }
    }

    /// The message is unusable.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, code, message)
    }

    /// Trying again cannot help.
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Permanent, code, message)
    }

    /// Trying again later may help.
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Transient { retry_after: None }, code, message)
    }

    /// Not ready yet; look again after `check_after`.
    pub fn needs_more_time(code: &'static str, message: impl Into<String>, check_after: Duration) -> Self {
        Self::new(FailureKind::NeedsMoreTime { check_after }, code, message)
    }

    /// Adds what an operator can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets how long the other side asked us to wait; only a transient failure takes it.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        if let FailureKind::Transient { retry_after } = &mut self.kind {
            *retry_after = wait;
        }
        self
    }

    /// Names the step, unless a deeper place has named it already.
    #[must_use]
    pub fn at_step(mut self, step: &'static str) -> Self {
        self.step.get_or_insert(step);
        self
    }

    /// Names the site, unless a deeper place has named it already.
    #[must_use]
    pub fn at_site(mut self, site: &SiteName) -> Self {
        self.site.get_or_insert_with(|| site.clone());
        self
    }

    /// Says that the message is given up for its age, whatever the failure would otherwise have become.
    pub fn expire(&mut self) {
        self.message = format!("{}; the job's time is over", self.message).into_boxed_str();
    }

    /// Says that a part of the site seems to be down: an adapter's word about answers that have nothing to do with what was
    /// asked. Only a transient failure takes it.
    #[must_use]
    pub fn of_part(mut self, part: Part) -> Self {
        if self.is_transient() {
            self.part = Some(part);
        }
        self
    }

    /// Says that the service wants fewer requests at once.
    #[must_use]
    pub fn throttled(mut self, is_throttled: bool) -> Self {
        self.is_throttled = is_throttled;
        self
    }

    /// What seems to be down, where something does.
    #[must_use]
    pub fn dependency(&self) -> Option<Dependency> {
        Some(Dependency { site: self.site.clone()?, part: self.part? })
    }

    /// Whether trying again in this process may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, FailureKind::Transient { .. })
    }

    /// How long the other side asked us to wait, when it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            FailureKind::Transient { retry_after } => retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What is done with a delivery. Decided once, in `settle`; carried out once, in `worker`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done and announced: acknowledge.
    Complete,
    /// Not for us: acknowledge, and count the reason.
    Ignore,
    /// Publish to the retry queue with this index; the attempt counter goes up.
    Retry {
        /// Index into the settings' list of delays.
        tier: usize,
    },
    /// Publish again for more work; the slice counter goes up, the attempt stays.
    Continue {
        /// Index into the settings' list of delays; `None`: at once.
        tier: Option<usize>,
    },
    /// Publish to the dead letters under this class.
    DeadLetter(DeadLetterClass),
    /// Publish to the parked queue, body untouched.
    Park,
    /// Give it back to the broker: not started, or stopped by shutdown.
    HandBack,
}

impl Settlement {
    /// The word used in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Ignore => "ignore",
            Self::Retry { .. } => "retry",
            Self::Continue { .. } => "continue",
            Self::DeadLetter(_) => "dead_letter",
            Self::Park => "park",
            Self::HandBack => "hand_back",
        }
    }
}

/// Why a message became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterClass {
    /// Trying again cannot help.
    Permanent,
    /// It used up the attempts that a setting allows.
    Exhausted,
    /// Its deadline passed.
    Expired,
}

impl DeadLetterClass {
    /// The word used in headers and routing keys.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_nearest_to_the_cause_is_kept() {
        let (west, east) = ("west".parse().unwrap(), "east".parse().unwrap());
        let failure = Failure::transient("x", "y").at_site(&west).at_site(&east).at_step("inner").at_step("outer");
        assert_eq!((failure.site.unwrap(), failure.step), (west, Some("inner")));
    }
}
