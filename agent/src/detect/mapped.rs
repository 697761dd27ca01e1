//! Memory by the line whose calls mapped it.
//!
//! A mapping is seen when the allocator asks the system for more, not at each allocation: what the
//! line is given may lie in memory that another line's call has mapped, and the other way round. So
//! these are the lines that make the process ask, no less and no more.

use std::collections::BTreeMap;

use crate::event::ProcessId;
use crate::ledger::{Conduct, Ledger};
use crate::python::Frame;
use crate::source::{Act, Mapped};

/// A mapping of one of these sizes is an arena of pymalloc (3.10 and newer, and before).
const ARENAS: [u64; 2] = [1 << 20, 256 << 10];

/// What the calls of one line mapped over a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct MappedByLine<'l> {
    /// The line, in the sort of mapping that it did the most of.
    pub(super) conduct: &'l Conduct,
    /// Bytes mapped.
    pub(super) mapped: u64,
    /// Bytes of its mappings that were unmapped.
    pub(super) unmapped: u64,
    /// Calls that mapped.
    pub(super) calls: u64,
    /// Of the bytes, those that are pymalloc's arenas, as far as the sizes tell.
    pub(super) arenas: u64,
}

impl MappedByLine<'_> {
    /// Bytes that were added.
    pub(super) fn net(&self) -> u64 {
        self.mapped.saturating_sub(self.unmapped)
    }
}

/// The lines of a process whose calls mapped memory within the last `span_ns`, the most first.
pub(super) fn lines(
    ledger: &Ledger,
    process: ProcessId,
    now_ns: u64,
    span_ns: u64,
) -> Vec<MappedByLine<'_>> {
    let mut lines: BTreeMap<Option<&Frame>, MappedByLine<'_>> = BTreeMap::new();
    let all = ledger.conducts().filter(|c| c.process == process && c.site.is_some());
    for conduct in all {
        let kind = match conduct.act {
            Act::Map(kind) | Act::Unmap(kind) => kind,
            _ => continue,
        };
        if !matches!(kind, Mapped::Anonymous | Mapped::Heap) {
            continue;
        }
        let sums = conduct.window(now_ns, span_ns).0;
        let line = lines.entry(conduct.site.as_ref()).or_insert(MappedByLine {
            conduct,
            mapped: 0,
            unmapped: 0,
            calls: 0,
            arenas: 0,
        });
        if matches!(conduct.act, Act::Unmap(_)) {
            line.unmapped += sums.bytes;
            continue;
        }
        if !matches!(line.conduct.act, Act::Map(_)) || sums.bytes > line.mapped {
            line.conduct = conduct;
        }
        line.mapped += sums.bytes;
        line.calls += sums.count;
        let each = sums.bytes.checked_div(sums.count).unwrap_or(0);
        if kind == Mapped::Anonymous && ARENAS.contains(&each) {
            line.arenas += sums.bytes;
        }
    }
    let mut lines: Vec<_> = lines.into_values().filter(|line| line.mapped > 0).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.net()));
    lines
}
