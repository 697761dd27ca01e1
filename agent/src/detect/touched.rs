//! Memory by the line that touched it first, as samples of the page faults tell.
//!
//! Where the allocator has mapped far ahead, no call tells of what it hands out. What a line has
//! touched may be gone again, so that of the growth only that part is surely its own which is left when
//! everything that went is taken to have been its.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger};
use crate::python::Frame;
use crate::source::Act;

/// What the lines of a process touched over a while.
pub(super) struct Touched<'l> {
    /// Bytes, of all lines and of what no line is known of.
    pub(super) total: u64,
    /// The line that touched the most.
    pub(super) most: Option<TouchedByLine<'l>>,
}

/// What one line touched.
#[derive(Clone, Copy)]
pub(super) struct TouchedByLine<'l> {
    /// The line.
    pub(super) conduct: &'l Conduct,
    /// Bytes.
    pub(super) bytes: u64,
}

impl<'l> Touched<'l> {
    /// Within the last `span_ns`; `None` when page faults are not sampled, or there were none.
    pub(super) fn of(
        ledger: &'l Ledger,
        process: ProcessId,
        now_ns: u64,
        span_ns: u64,
    ) -> Option<Self> {
        let mut total = 0;
        let mut lines: BTreeMap<Option<&Frame>, TouchedByLine<'_>> = BTreeMap::new();
        for conduct in ledger.conducts_of(Act::Touch).filter(|c| c.process == process) {
            let bytes = conduct.window(now_ns, span_ns).0.bytes;
            total += bytes;
            if conduct.site.is_some() {
                let nothing = TouchedByLine { conduct, bytes: 0 };
                lines.entry(conduct.site.as_ref()).or_insert(nothing).bytes += bytes;
            }
        }
        let most = lines.into_values().max_by_key(|line| line.bytes);
        (total > 0).then_some(Self { total, most })
    }

    /// What is left at least of `bytes` that a line touched, while the process has grown by `grown`.
    pub(super) fn left_at_least(&self, bytes: u64, grown: u64) -> u64 {
        bytes.saturating_sub(self.total.saturating_sub(grown)).min(grown)
    }
}
