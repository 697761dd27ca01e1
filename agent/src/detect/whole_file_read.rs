//! `whole-file-read`: a large file that is read whole.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `whole-file-read`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WholeFileReadThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &WholeFileReadThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
