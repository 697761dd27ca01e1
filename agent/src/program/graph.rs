//! Flame graphs of what the ledger knows.

use std::path::Path;

use super::error::ProgramError;
use super::watch::Watch;
use crate::export::flamegraph::{self, FlameGraphError, Titles};
use crate::export::graph::{Graph, Weighed};
use crate::export::{folded, output};

/// The stacks of a graph, folded: a line each, none where there is nothing to show.
pub(super) fn lines(stacks: &[Weighed]) -> Vec<String> {
    folded::lines(stacks.iter().map(|weighed| (weighed.stack.as_deref(), weighed.weight)))
}

/// The stacks, drawn; a picture that says so where there are none.
pub(super) fn svg(watch: &Watch, graph: Graph, lines: &[String]) -> Result<Vec<u8>, ProgramError> {
    let report = watch.report();
    let seconds = (report.window_ns.1.saturating_sub(report.window_ns.0)) as f64 / 1e9;
    let lost: u64 = report.totals.dropped().values().sum();
    let mut subtitle = format!(
        "process {} ({}), {seconds:.0} s, {lost} events lost",
        report.process.pid, report.process.executable
    );
    if let Some(note) = graph.note() {
        subtitle = format!("{subtitle}; {note}");
    }
    let titles = Titles { title: graph.title().into(), subtitle, count_name: graph.unit().into() };
    let nothing = [format!("{} 1", graph.nothing())];
    let lines = if lines.is_empty() { &nothing[..] } else { lines };
    flamegraph::svg(lines, &titles).map_err(|cause| match cause {
        FlameGraphError::Draw(cause) => ProgramError::Output { what: "the graph".into(), cause },
        FlameGraphError::Empty => ProgramError::BadOutput(cause.to_string()),
    })
}

/// Writes a file, whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ProgramError> {
    output::write(path, bytes).map_err(|error| ProgramError::BadOutput(error.to_string()))
}
