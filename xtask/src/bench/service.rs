//! `cargo xtask bench service`: what a web service under full load pays, and what the agent itself
//! uses meanwhile.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::Options;
use super::attached::with_and_without;
use super::report::Report;
use super::rounds::median;
use crate::interpreters::Interpreter;
use crate::{process, workspace};

/// Seconds of load a run.
const SECONDS: u64 = 8;

const PACKAGES: [&str; 2] = ["fastapi==0.115.6", "uvicorn==0.34.0"];

/// The agent's share of a CPU and its resident bytes, a run each.
#[derive(Default)]
struct Usage {
    share: Vec<f64>,
    resident: u64,
}

pub(super) fn run(options: &Options) -> Result<Report> {
    let python = options.interpreter()?;
    let environment = install(&python)?;
    let seconds = options.iterations.unwrap_or(SECONDS);
    let mut usage = Usage::default();
    let workload = workspace::workload("bench/service.py");
    let rounds = options.rounds;
    let series =
        with_and_without(rounds, &environment, &workload, seconds, |observer, subject| {
            let (before, _) = observer.usage()?;
            let begin = Instant::now();
            let time = subject.measure()?;
            let (after, resident) = observer.usage()?;
            usage.share.push((after - before) / begin.elapsed().as_secs_f64());
            usage.resident = usage.resident.max(resident);
            Ok(time)
        })?;
    let title = "FastAPI, uvicorn and SQLite under wrk, a request (iterations: seconds of load)";
    let mut report = Report::new(title, Some(&python), seconds);
    report.series = series;
    report.notes.push(format!(
        "The agent itself: {:.1} % of one CPU (median), {} MB resident.",
        median(&usage.share) * 100.0,
        usage.resident / 1_000_000,
    ));
    Ok(report)
}

/// An environment with the packages, made once; its interpreter.
pub(super) fn install(python: &Interpreter) -> Result<PathBuf> {
    let folder = workspace::target().join(format!("bench/service-{}", python.version));
    let program = folder.join("bin/python");
    if !folder.join("complete").exists() {
        eprintln!("Installing {} into {} (once).", PACKAGES.join(", "), folder.display());
        process::run(Command::new(&python.program).args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        process::run(pip.args(["install", "--quiet"]).args(PACKAGES))?;
        std::fs::write(folder.join("complete"), "")?;
    }
    Ok(program)
}
