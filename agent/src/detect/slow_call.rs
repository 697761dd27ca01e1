//! `slow-call`: a call that blocks its thread for long.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `slow-call`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlowCallThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &SlowCallThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
