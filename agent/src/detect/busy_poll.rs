//! `busy-poll`: a line that wakes up many times a second to look.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `busy-poll`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BusyPollThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &BusyPollThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
