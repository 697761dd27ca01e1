//! `subprocess-storm`: a line that starts processes at a high rate.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `subprocess-storm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubprocessStormThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &SubprocessStormThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
