//! `unbounded-append`: a file that only grows.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `unbounded-append`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnboundedAppendThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &UnboundedAppendThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
