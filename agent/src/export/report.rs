//! What a run found out, for every format that shows it whole.

use std::collections::BTreeMap;

use super::activity::{Activity, Waits};
use crate::detect::{Board, Finding};
use crate::event::ProcessId;
use crate::ledger::{Ledger, Overflow, ProcessInfo, Totals};

/// One moment on both clocks: the kernel stamps events with the monotonic one, people read the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// Nanoseconds of Unix time at the same moment.
    pub unix_ns: u64,
}

impl WallClock {
    /// Unix time in seconds, to the millisecond, of a monotonic time.
    pub fn unix_seconds(&self, monotonic_ns: u64) -> f64 {
        (self.exact(monotonic_ns) / 1_000_000) as f64 / 1e3
    }

    /// Unix time in nanoseconds of a monotonic time.
    pub fn unix_ns(&self, monotonic_ns: u64) -> i64 {
        i64::try_from(self.exact(monotonic_ns)).unwrap_or(0)
    }

    fn exact(&self, monotonic_ns: u64) -> i128 {
        i128::from(self.unix_ns) + i128::from(monotonic_ns) - i128::from(self.monotonic_ns)
    }
}

/// A run, ended or so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Version of pitviper.
    pub version: String,
    /// The process that was attached to.
    pub process: ProcessInfo,
    /// The pid of each process that findings may be about.
    pub pids: BTreeMap<ProcessId, u32>,
    /// What each is called among others: the module or script that it runs.
    pub services: BTreeMap<ProcessId, String>,
    /// Monotonic nanoseconds of the first and of the last look.
    pub window_ns: (u64, u64),
    /// Turns those into Unix time.
    pub clock: WallClock,
    /// Findings, the most certain and severe first.
    pub findings: Vec<Finding>,
    /// Findings that the board had no room for.
    pub findings_left_out: u64,
    /// What lines did.
    pub activity: Vec<Activity>,
    /// How long calls took.
    pub waits: Vec<Waits>,
    /// What was seen and what was lost.
    pub totals: Totals,
    /// What did not fit into the ledger.
    pub overflow: Overflow,
}

impl Report {
    /// The run so far, as a report about `process`.
    pub fn new(ledger: &Ledger, board: &Board, process: ProcessId, clock: WallClock) -> Self {
        let known = ledger.process(process);
        let pid = |of| ledger.process(of).map_or(0, |known| known.info.pid);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: known.map(|known| known.info.clone()).unwrap_or_default(),
            pids: ledger.processes().map(|(id, known)| (id, known.info.pid)).collect(),
            services: ledger
                .processes()
                .map(|(id, known)| (id, known.info.service.clone()))
                .collect(),
            window_ns: (ledger.first_ns().unwrap_or(ledger.time_ns()), ledger.time_ns()),
            clock,
            findings: board.findings(),
            findings_left_out: board.left_out(),
            activity: Activity::of(ledger, pid),
            waits: Waits::of(ledger, pid),
            totals: ledger.totals(process),
            overflow: ledger.overflow(),
        }
    }

    /// The pid of a finding's process; 0 when it is not known.
    pub fn pid(&self, finding: &Finding) -> u32 {
        self.pids.get(&finding.process).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exercise times before and after the moment that is known on both clocks.
    #[test]
    fn monotonic_time_becomes_unix_time() {
        let clock = WallClock { monotonic_ns: 5_000_000_000, unix_ns: 1_700_000_000_500_000_000 };
        assert_eq!(clock.unix_seconds(5_000_000_000), 1_700_000_000.5);
        assert_eq!(clock.unix_seconds(7_250_000_000), 1_700_000_002.75);
        assert_eq!(clock.unix_seconds(0), 1_699_999_995.5);
    }
}
