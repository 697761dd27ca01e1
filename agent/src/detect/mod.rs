//! The rules: pure functions over the ledger, with time as an argument.
//!
//! [`Rules::evaluate`] judges afresh at each call; a [`Board`] keeps the findings' identity over time
//! and tells what is new. One rule a file; every number that they decide by is in [`Thresholds`].

mod advice;
mod board;
mod fd_headroom;
mod fd_leak;
mod finding;
mod growth;
#[cfg(test)]
pub(crate) mod script;
mod thresholds;
mod unclosed_resource;
mod wording;

pub use board::{Board, Change, FindingKey, News, Refutation, Verdicts};
pub use finding::{Confidence, Evidence, Finding, Kind, Severity};
pub use thresholds::{
    BoardThresholds, FdHeadroomThresholds, FdLeakThresholds, GrowthThresholds, Thresholds,
    UnclosedResourceThresholds,
};

use crate::ledger::{Ledger, SECOND_NS};

/// All rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    thresholds: Thresholds,
}

impl Rules {
    /// Rules that decide by `thresholds`.
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds }
    }

    /// Judges the ledger as it stands at `now_ns` (monotonic, the time of its newest snapshot).
    pub fn evaluate(&self, ledger: &Ledger, now_ns: u64) -> Verdicts {
        let mut verdicts = Verdicts::default();
        fd_leak::evaluate(ledger, &self.thresholds, now_ns, &mut verdicts);
        unclosed_resource::evaluate(ledger, &self.thresholds, now_ns, &mut verdicts);
        fd_headroom::evaluate(ledger, &self.thresholds, now_ns, &mut verdicts);
        verdicts
    }

    /// A board with these rules' thresholds.
    pub fn board(&self) -> Board {
        Board::new(self.thresholds.board.clone())
    }
}

/// Nanoseconds until `left` descriptors are gone at this rate; `None` when they never are.
fn time_to_fill_ns(left: u64, per_minute: f64) -> Option<u64> {
    let minutes = left as f64 / per_minute;
    // A float that is too large for the integer becomes the largest one.
    (per_minute > 0.0).then_some((minutes * 60.0 * SECOND_NS as f64) as u64)
}
