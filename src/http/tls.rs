//! Picks the one TLS provider of the process.

use std::sync::Once;

/// Makes ring rustls' provider for the whole process. Later calls, and calls after somebody else's choice, do nothing.
pub fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("a TLS provider was installed before");
        }
    });
}
