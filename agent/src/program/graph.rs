//! Flame graphs of what the ledger knows.

use std::path::Path;

use super::arguments::Weight;
use super::error::ProgramError;
use super::watch::Watch;
use crate::export::flamegraph::{self, FlameGraphError, Titles};
use crate::export::{folded, output};
use crate::ledger::StackTotals;

fn stacks(watch: &Watch) -> Vec<StackTotals> {
    let processes: Vec<_> = watch.ledger.processes().map(|(process, _)| process).collect();
    processes.into_iter().flat_map(|process| watch.ledger.stacks(process)).collect()
}

fn weight_of(stack: &StackTotals, weight: Weight) -> u64 {
    match weight {
        Weight::Opened => stack.opened,
        Weight::Alive => stack.alive,
    }
}

/// The stacks, folded.
pub(super) fn folded(watch: &Watch, weight: Weight) -> String {
    let stacks = stacks(watch);
    folded::text(stacks.iter().map(|s| (s.stack.as_deref(), weight_of(s, weight))))
}

/// The stacks, drawn; a picture that says so where there are none.
pub(super) fn svg(watch: &Watch, weight: Weight) -> Result<Vec<u8>, ProgramError> {
    let stacks = stacks(watch);
    let mut lines =
        folded::lines(stacks.iter().map(|s| (s.stack.as_deref(), weight_of(s, weight))));
    if lines.is_empty() {
        lines.push("nothing was opened 1".into());
    }
    let report = watch.report();
    let what = match weight {
        Weight::Opened => "Descriptors opened",
        Weight::Alive => "Descriptors opened and still open",
    };
    let seconds = (report.window_ns.1.saturating_sub(report.window_ns.0)) as f64 / 1e9;
    let lost: u64 = report.totals.dropped().values().sum();
    let titles = Titles {
        title: format!("{what}, by Python line"),
        subtitle: format!(
            "process {} ({}), {seconds:.0} s, {lost} events lost",
            report.process.pid, report.process.executable
        ),
        count_name: "descriptors".into(),
    };
    flamegraph::svg(&lines, &titles).map_err(|cause| match cause {
        FlameGraphError::Draw(cause) => ProgramError::Output { what: "the graph".into(), cause },
        FlameGraphError::Empty => ProgramError::BadOutput(cause.to_string()),
    })
}

/// Writes a file, whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ProgramError> {
    output::write(path, bytes).map_err(|error| ProgramError::BadOutput(error.to_string()))
}
