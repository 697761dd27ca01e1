//! `thread-sprawl`: many threads.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `thread-sprawl`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ThreadSprawlThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &ThreadSprawlThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
