//! What became of the web server's connections, for its own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its request was answered, whatever the answer.
    Answered,
    /// It had to make room.
    Evicted,
    /// It asked for nothing in time, sent nonsense, did not read, or left.
    Failed,
}

/// How many ended each way.
#[derive(Debug, Default)]
pub struct Counts {
    answered: AtomicU64,
    evicted: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(super) fn add(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Answered => &self.answered,
            Outcome::Evicted => &self.evicted,
            Outcome::Failed => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Each outcome's name and number.
    pub fn all(&self) -> [(&'static str, u64); 3] {
        [("answered", &self.answered), ("evicted", &self.evicted), ("failed", &self.failed)]
            .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}
