//! `idle-memory`: memory that is held while nothing is done.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `idle-memory`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IdleMemoryThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &IdleMemoryThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
