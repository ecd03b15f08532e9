//! What the broker holds of our topology: one finding for each exchange and queue.

use std::fmt;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An exchange.
    Exchange,
    /// A queue or a stream.
    Queue,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exchange => "exchange",
            Self::Queue => "queue",
        })
    }
}

/// Why something that exists was not compared with the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCompared {
    /// Comparing needs the permission to configure it, which this user has not.
    NoPermission,
    /// It belongs to others, and is taken as it is.
    Foreign,
}

impl fmt::Display for NotCompared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermission => "it exists; comparing it needs the permission to configure it",
            Self::Foreign => "it exists; it is the encoders', and taken as it is",
        })
    }
}

/// How something is at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As the settings say.
    Same,
    /// It was missing, and was made just now.
    Made,
    /// It does not exist.
    Missing,
    /// It exists with other properties; the broker's words, which name one difference at a time.
    Different(String),
    /// It holds what a migration that was cut short has not brought back; the number of its messages.
    LeftOver(u32),
    /// It exists; nothing more is known.
    NotCompared(NotCompared),
}

/// An exchange or a queue, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: State,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Every exchange and queue of the topology, in the order in which they are declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopologyReport {
    /// One for each.
    pub findings: Vec<Finding>,
}

impl TopologyReport {
    /// Whether a worker can work: everything is there, nothing is known to be different, and no message waits elsewhere.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing().next().is_none() && self.different().next().is_none() && self.left_over().next().is_none()
    }

    /// What migrations that were cut short have left.
    pub fn left_over(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| matches!(finding.state, State::LeftOver(_)))
    }

    /// What does not exist.
    pub fn missing(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.state == State::Missing)
    }

    /// What exists with other properties, and what the broker says about it.
    pub fn different(&self) -> impl Iterator<Item = (&Finding, &str)> {
        self.findings.iter().filter_map(|finding| match &finding.state {
            State::Different(cause) => Some((finding, cause.as_str())),
            _ => None,
        })
    }

    /// What could not be compared for want of permission.
    pub fn not_permitted(&self) -> impl Iterator<Item = &Finding> {
        let state = State::NotCompared(NotCompared::NoPermission);
        self.findings.iter().filter(move |finding| finding.state == state)
    }
}
