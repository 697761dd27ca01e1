//! From the kernel's monotonic clock to the calendar's.

use std::time::{SystemTime, UNIX_EPOCH};

/// Turns monotonic nanoseconds into Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    offset: f64,
}

impl Clock {
    /// As the two clocks stand now.
    pub(super) fn now() -> Self {
        let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let monotonic = monotonic.tv_sec as f64 + monotonic.tv_nsec as f64 / 1e9;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Self { offset: unix - monotonic }
    }

    /// Unix seconds.
    pub(super) fn unix(self, monotonic_ns: u64) -> f64 {
        self.offset + monotonic_ns as f64 / 1e9
    }
}
