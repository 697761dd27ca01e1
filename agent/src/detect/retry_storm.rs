//! `retry-storm`: a line that tries again at once, and again, what fails.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `retry-storm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetryStormThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &RetryStormThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
