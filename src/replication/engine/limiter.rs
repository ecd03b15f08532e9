//! Placeholder.

use super::operation::SizeClass;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct LimiterSettings {
    pub start: usize,
    pub cap: usize,
}
impl Default for LimiterSettings {
    fn default() -> Self {
        Self { start: 16, cap: 512 }
    }
}
#[derive(Debug, Clone)]
pub struct Limiter(Arc<tokio::sync::Semaphore>);
#[derive(Debug)]
pub struct Permit(#[expect(dead_code)] Option<tokio::sync::OwnedSemaphorePermit>);
impl Limiter {
    pub fn new(settings: LimiterSettings) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(settings.cap.min(64))))
    }
    pub async fn acquire(&self) -> Permit {
        Permit(Arc::clone(&self.0).acquire_owned().await.ok())
    }
}
impl Permit {
    pub fn done(self, _: SizeClass, _: Duration) {}
    pub fn throttled(self, _: Option<Duration>) {}
    pub fn failed(self) {}
}
