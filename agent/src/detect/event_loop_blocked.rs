//! `event-loop-blocked`: a call, or computing, on an event loop's thread that keeps the loop from running.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `event-loop-blocked`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventLoopBlockedThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &EventLoopBlockedThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
