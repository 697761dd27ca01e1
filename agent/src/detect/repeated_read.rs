//! `repeated-read`: an unchanged file that is read again and again.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `repeated-read`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepeatedReadThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &RepeatedReadThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
