//! `cargo xtask bench spawns`: what a process pays that runs command after command.

use std::process::Command;

use anyhow::Result;

use super::Options;
use super::observer::{self, Observer};
use super::report::Report;
use super::rounds::{Case, interleave};
use super::subject::{Subject, measure};
use crate::{cargo, workspace};

/// About half a second.
const ITERATIONS: u64 = 500;

pub(super) fn run(options: &Options) -> Result<Report> {
    let python = options.interpreter()?;
    let privilege = observer::privilege()?;
    let pitviper = cargo::build_pitviper()?;
    let iterations = options.iterations.unwrap_or(ITERATIONS);
    let command = || {
        let mut command = Command::new(&python.program);
        command.arg("-B").arg(workspace::workload("bench/spawns.py"));
        command.arg(iterations.to_string());
        command
    };
    let attached = || {
        let mut subject = Subject::start(&mut command())?;
        let observer = Observer::pitviper(privilege, &pitviper, subject.pid())?;
        let time = subject.measure()?;
        subject.finish()?;
        observer.finish()?;
        Ok(time)
    };
    let cases = vec![
        Case { name: "alone", run: Box::new(|| measure(&mut command())) },
        Case { name: "pitviper attach", run: Box::new(attached) },
    ];
    let title = "Running the command `true`, an iteration";
    let mut report = Report::new(title, Some(&python), iterations);
    report.series = interleave(options.rounds, cases)?;
    Ok(report)
}
