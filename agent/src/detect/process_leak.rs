//! `process-leak`: children that linger, or that nobody reaps.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `process-leak`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessLeakThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &ProcessLeakThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
