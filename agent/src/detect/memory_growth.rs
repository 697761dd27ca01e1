//! `memory-growth`: memory that keeps growing.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `memory-growth`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryGrowthThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &MemoryGrowthThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
