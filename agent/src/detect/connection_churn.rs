//! `connection-churn`: a line that connects anew for every use, or opens a file database anew.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `connection-churn`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectionChurnThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &ConnectionChurnThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
