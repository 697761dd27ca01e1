//! How the pushing to one receiver goes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::export::metrics::Pushed;

/// Why profiles did not arrive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dropped {
    /// The queue was full: the oldest made room.
    Full,
    /// The receiver does not want them.
    Refused,
    /// The agent did not get to encode them.
    Behind,
    /// They could not be encoded.
    Unencoded,
}

/// Counters, and whether all is over.
#[derive(Debug)]
pub(super) struct Counts {
    receiver: &'static str,
    sent: AtomicU64,
    retries: AtomicU64,
    dropped: [AtomicU64; 4],
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    over: AtomicBool,
    end: Notify,
}

const CAUSES: [&str; 4] = ["queue_full", "refused", "behind", "unencoded"];

impl Counts {
    pub(super) fn new(receiver: &'static str) -> Self {
        Self {
            receiver,
            sent: AtomicU64::default(),
            retries: AtomicU64::default(),
            dropped: Default::default(),
            waiting: AtomicU64::default(),
            waiting_bytes: AtomicU64::default(),
            over: AtomicBool::default(),
            end: Notify::new(),
        }
    }

    pub(super) fn sent(&self, profiles: u64) {
        self.sent.fetch_add(profiles, Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_profiles(&self, cause: Dropped, profiles: u64) {
        self.dropped[cause as usize].fetch_add(profiles, Ordering::Relaxed);
    }

    pub(super) fn set_waiting(&self, profiles: u64, bytes: u64) {
        self.waiting.store(profiles, Ordering::Relaxed);
        self.waiting_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.end.notify_waiters();
    }

    /// Waits until everything is sent and nothing more comes.
    pub(super) async fn ended(&self) {
        let notified = self.end.notified();
        tokio::pin!(notified);
        // From here on no notice is missed.
        notified.as_mut().enable();
        if !self.over.load(Ordering::Acquire) {
            notified.await;
        }
    }

    pub(super) fn now(&self) -> Pushed {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut causes = CAUSES.into_iter().zip(&self.dropped);
        Pushed {
            receiver: self.receiver,
            sent: of(&self.sent),
            retries: of(&self.retries),
            dropped: [(); 4].map(|()| causes.next().map_or(("", 0), |(name, n)| (name, of(n)))),
            waiting: of(&self.waiting),
            waiting_bytes: of(&self.waiting_bytes),
        }
    }
}
