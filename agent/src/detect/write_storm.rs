//! `write-storm`: many small writes, or the same file written whole again and again.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `write-storm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteStormThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &WriteStormThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
