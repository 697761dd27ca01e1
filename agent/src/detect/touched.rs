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
    total: u64,
    /// The line that touched the most.
    most: Option<(&'l Conduct, u64)>,
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
        let mut lines: BTreeMap<Option<&Frame>, (&Conduct, u64)> = BTreeMap::new();
        for conduct in ledger.conducts_of(Act::Touch).filter(|c| c.process == process) {
            let bytes = conduct.window(now_ns, span_ns).0.bytes;
            total += bytes;
            if conduct.site.is_some() {
                lines.entry(conduct.site.as_ref()).or_insert((conduct, 0)).1 += bytes;
            }
        }
        let most = lines.into_values().max_by_key(|(_, bytes)| *bytes);
        (total > 0).then_some(Self { total, most })
    }

    /// The line that touched the most of `grown` bytes, with what of them is its at least.
    pub(super) fn line(&self, grown: u64) -> Option<(&'l Conduct, u64)> {
        let (conduct, bytes) = self.most?;
        let gone = self.total.saturating_sub(grown);
        Some((conduct, bytes.saturating_sub(gone).min(grown)))
    }
}
