//! `directory-scan-storm`: directories that are read through again and again.

use crate::ledger::Ledger;

use super::Verdicts;

/// Thresholds of `directory-scan-storm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DirectoryScanStormThresholds {}

/// Judges every line.
pub(super) fn evaluate(
    _ledger: &Ledger,
    _thresholds: &DirectoryScanStormThresholds,
    _now_ns: u64,
    _verdicts: &mut Verdicts,
) {
}
