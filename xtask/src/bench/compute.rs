//! `cargo xtask bench compute`: what a watched process pays that makes no system calls.

use anyhow::Result;

use super::Options;
use super::attached::with_and_without;
use super::report::Report;
use crate::workspace;

/// About half a second.
const ITERATIONS: u64 = 2_000_000;

pub(super) fn run(options: &Options) -> Result<Report> {
    let python = options.interpreter()?;
    let iterations = options.iterations.unwrap_or(ITERATIONS);
    let mut report =
        Report::new("A Python loop without system calls, an iteration", Some(&python), iterations);
    let workload = workspace::workload("bench/compute.py");
    report.series =
        with_and_without(options.rounds, &python.program, &workload, iterations, |_, subject| {
            subject.measure()
        })?;
    Ok(report)
}
