//! Signals become two tokens: stop taking, and stop at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two stages of a shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take nothing new, let running jobs end.
    pub soft: CancellationToken,
    /// Stop running jobs at their next await.
    pub hard: CancellationToken,
}

/// Listens for SIGTERM and SIGINT in the background: the first is soft, the second hard.
///
/// # Errors
/// When the process may not install signal handlers.
pub fn listen_for_signals() -> std::io::Result<Shutdown> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = Shutdown::default();
    let stages = shutdown.clone();
    tokio::spawn(async move {
        for stage in [stages.soft, stages.hard] {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            stage.cancel();
        }
    });
    Ok(shutdown)
}
