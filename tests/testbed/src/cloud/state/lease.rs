//! A blob's lease and what becomes of it with time (Lease Blob, Azure Blob REST).

use std::time::Duration;

use tokio::time::Instant;

/// A lease, alive or not. One that nobody ever took is absent.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) id: String,
    /// `None` lasts for ever.
    pub(crate) duration: Option<Duration>,
    pub(crate) since: Instant,
    /// When a break takes effect.
    pub(crate) broken_at: Option<Instant>,
}

/// The words of `x-ms-lease-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseState {
    Available,
    Leased,
    Expired,
    Breaking,
    Broken,
}

impl LeaseState {
    pub(crate) fn of(lease: Option<&Lease>) -> Self {
        let Some(lease) = lease else { return Self::Available };
        let now = Instant::now();
        match (lease.broken_at, lease.duration) {
            (Some(at), _) if at <= now => Self::Broken,
            (Some(_), _) => Self::Breaking,
            (None, Some(duration)) if lease.since + duration <= now => Self::Expired,
            (None, _) => Self::Leased,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Leased => "leased",
            Self::Expired => "expired",
            Self::Breaking => "breaking",
            Self::Broken => "broken",
        }
    }

    /// Whether writers need the lease's id.
    pub(crate) fn is_locked(self) -> bool {
        matches!(self, Self::Leased | Self::Breaking)
    }
}
