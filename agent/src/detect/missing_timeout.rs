//! `missing-timeout`: a line that waits for a peer without a limit of time.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `missing-timeout`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MissingTimeoutThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &MissingTimeoutThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
