//! `memory-spike`: memory that comes and goes in large pieces.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `memory-spike`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemorySpikeThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &MemorySpikeThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
