//! The rules: pure functions over the ledger, with time as an argument.
//!
//! [`Rules::evaluate`] judges afresh at each call; a [`Board`] keeps the findings' identity over time
//! and tells what is new. One rule a file; every number that they decide by is in [`Thresholds`].

mod adjust;
mod advice;
mod awaited;
mod board;
mod busy_poll;
mod commands;
mod connection_churn;
mod connections;
mod directory_scan_storm;
mod draft;
mod event_loop;
mod event_loop_blocked;
mod event_loop_churn;
mod fd_headroom;
mod fd_leak;
mod file_use;
mod finding;
mod growth;
mod idle_memory;
mod mapped;
mod memory_growth;
mod memory_spike;
mod misplaced_file;
mod missing_timeout;
mod pace;
mod process_leak;
mod repeated_read;
mod retry_storm;
mod same_line;
#[cfg(test)]
pub(crate) mod script;
mod serial_server;
mod slow_call;
mod sqlite;
mod subprocess_storm;
mod thread_sprawl;
mod thresholds;
mod touched;
mod unbounded_append;
mod unclosed_resource;
mod whole_file_read;
mod wording;
mod write_storm;
mod written_file;

pub use adjust::{Number, Threshold};
pub use board::{Board, Change, FindingKey, News, Refutation, Verdicts};
pub use busy_poll::BusyPollThresholds;
pub use connection_churn::ConnectionChurnThresholds;
pub use directory_scan_storm::DirectoryScanStormThresholds;
pub use event_loop_blocked::EventLoopBlockedThresholds;
pub use event_loop_churn::EventLoopChurnThresholds;
pub use finding::{Confidence, Evidence, Finding, Kind, Severity};
pub use idle_memory::IdleMemoryThresholds;
pub use memory_growth::MemoryGrowthThresholds;
pub use memory_spike::MemorySpikeThresholds;
pub use misplaced_file::{MisplacedFileThresholds, Place};
pub use missing_timeout::MissingTimeoutThresholds;
pub use process_leak::ProcessLeakThresholds;
pub use repeated_read::RepeatedReadThresholds;
pub use retry_storm::RetryStormThresholds;
pub use serial_server::SerialServerThresholds;
pub use slow_call::SlowCallThresholds;
pub use subprocess_storm::SubprocessStormThresholds;
pub use thread_sprawl::ThreadSprawlThresholds;
pub use thresholds::{
    BoardThresholds, FdHeadroomThresholds, FdLeakThresholds, GrowthThresholds, Thresholds,
    UnclosedResourceThresholds,
};
pub use unbounded_append::UnboundedAppendThresholds;
pub use whole_file_read::WholeFileReadThresholds;
pub use write_storm::WriteStormThresholds;

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
        let t = &self.thresholds;
        subprocess_storm::evaluate(ledger, &t.subprocess_storm, now_ns, &mut verdicts);
        process_leak::evaluate(ledger, &t.process_leak, now_ns, &mut verdicts);
        connection_churn::evaluate(ledger, &t.connection_churn, now_ns, &mut verdicts);
        retry_storm::evaluate(ledger, &t.retry_storm, now_ns, &mut verdicts);
        event_loop_blocked::evaluate(ledger, &t.event_loop_blocked, now_ns, &mut verdicts);
        event_loop_churn::evaluate(ledger, &t.event_loop_churn, now_ns, &mut verdicts);
        slow_call::evaluate(ledger, &t.slow_call, now_ns, &mut verdicts);
        serial_server::evaluate(ledger, &t.serial_server, now_ns, &mut verdicts);
        missing_timeout::evaluate(ledger, &t.missing_timeout, now_ns, &mut verdicts);
        busy_poll::evaluate(ledger, &t.busy_poll, now_ns, &mut verdicts);
        repeated_read::evaluate(ledger, &t.repeated_read, now_ns, &mut verdicts);
        whole_file_read::evaluate(ledger, &t.whole_file_read, now_ns, &mut verdicts);
        directory_scan_storm::evaluate(ledger, &t.directory_scan_storm, now_ns, &mut verdicts);
        write_storm::evaluate(ledger, &t.write_storm, now_ns, &mut verdicts);
        unbounded_append::evaluate(ledger, &t.unbounded_append, now_ns, &mut verdicts);
        memory_growth::evaluate(ledger, &t.memory_growth, now_ns, &mut verdicts);
        memory_spike::evaluate(ledger, &t.memory_spike, now_ns, &mut verdicts);
        idle_memory::evaluate(ledger, &t.idle_memory, now_ns, &mut verdicts);
        thread_sprawl::evaluate(ledger, &t.thread_sprawl, now_ns, &mut verdicts);
        misplaced_file::evaluate(ledger, &t.misplaced_file, now_ns, &mut verdicts);
        verdicts
    }

    /// A board with these rules' thresholds.
    pub fn board(&self) -> Board {
        Board::new(self.board_thresholds())
    }

    /// The thresholds of a board.
    pub fn board_thresholds(&self) -> BoardThresholds {
        self.thresholds.board.clone()
    }
}

/// Nanoseconds until `left` descriptors are gone at this rate; `None` when they never are.
fn time_to_fill_ns(left: u64, per_minute: f64) -> Option<u64> {
    let minutes = left as f64 / per_minute;
    // A float that is too large for the integer becomes the largest one.
    (per_minute > 0.0).then_some((minutes * 60.0 * SECOND_NS as f64) as u64)
}
