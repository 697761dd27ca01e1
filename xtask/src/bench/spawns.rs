//! `cargo xtask bench spawns`: what a process pays that runs command after command.

use anyhow::Result;

use super::Options;
use super::attached::with_and_without;
use super::report::Report;
use crate::workspace;

/// About half a second.
const ITERATIONS: u64 = 500;

pub(super) fn run(options: &Options) -> Result<Report> {
    let python = options.interpreter()?;
    let iterations = options.iterations.unwrap_or(ITERATIONS);
    let mut report =
        Report::new("Running the command `true`, an iteration", Some(&python), iterations);
    let workload = workspace::workload("bench/spawns.py");
    report.series =
        with_and_without(options.rounds, &python.program, &workload, iterations, |_, subject| {
            subject.measure()
        })?;
    Ok(report)
}
