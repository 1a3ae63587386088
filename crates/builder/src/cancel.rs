//! How a build is told to end early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A wish that a build end. Clones share it. It is noticed within a fraction of a second.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    wished: Arc<AtomicBool>,
}

impl CancelToken {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        self.wished.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.wished.load(Ordering::Acquire)
    }
}
