//! `serial-server`: connections wait to be accepted while the only thread is busy.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `serial-server`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SerialServerThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &SerialServerThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
