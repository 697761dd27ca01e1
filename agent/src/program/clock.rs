//! From the kernel's monotonic clock to the calendar's.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::export::WallClock;

/// Both clocks as they stand now.
pub(super) fn now() -> WallClock {
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallClock {
        monotonic_ns: monotonic.tv_sec as u64 * 1_000_000_000 + monotonic.tv_nsec as u64,
        unix_ns: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX),
    }
}

/// Unix seconds of a monotonic time, to the microsecond.
pub(super) fn unix_seconds(clock: &WallClock, monotonic_ns: u64) -> f64 {
    let ns = i128::from(clock.unix_ns) + i128::from(monotonic_ns) - i128::from(clock.monotonic_ns);
    (ns / 1000) as f64 / 1e6
}
