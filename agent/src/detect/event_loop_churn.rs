//! `event-loop-churn`: a line that makes a new event loop each time.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `event-loop-churn`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventLoopChurnThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &EventLoopChurnThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
