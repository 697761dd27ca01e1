//! `misplaced-file`: a file where a rule of the user says that it must not be.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `misplaced-file`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MisplacedFileThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &MisplacedFileThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
