//! `cargo xtask bench untraced`: what a process pays that is not watched while another one
//! is. The tracepoints are the whole machine's, so each of its system calls pays a little.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Options;
use super::observer::{self, Observer};
use super::report::Report;
use super::rounds::{Case, interleave};
use super::subject::{Subject, measure};
use crate::{cargo, process, workspace};

/// About half a second.
const ITERATIONS: u64 = 5_000_000;

pub(super) fn run(options: &Options) -> Result<Report> {
    let python = options.interpreter()?;
    let privilege = observer::privilege()?;
    let pitviper = cargo::build_pitviper()?;
    let getppid = compile()?;
    let iterations = options.iterations.unwrap_or(ITERATIONS);
    let command = || {
        let mut command = Command::new(&getppid);
        command.arg(iterations.to_string());
        command
    };
    let another_attached = || {
        let mut idle = Command::new(&python.program);
        idle.arg("-B").arg(workspace::workload("bench/compute.py")).arg("1");
        let idle = Subject::start(&mut idle)?;
        let observer = Observer::pitviper(privilege, &pitviper, idle.pid())?;
        let time = measure(&mut command())?;
        idle.finish()?;
        observer.finish()?;
        Ok(time)
    };
    let empty_pair = || {
        let observer = Observer::empty_pair(privilege, &pitviper)?;
        let time = measure(&mut command())?;
        observer.finish()?;
        Ok(time)
    };
    let cases = vec![
        Case { name: "alone", run: Box::new(|| measure(&mut command())) },
        Case { name: "pitviper on another process", run: Box::new(another_attached) },
        Case { name: "an empty pair of programs", run: Box::new(empty_pair) },
    ];
    let title = "getppid(2) in a process that is not watched";
    let mut report = Report::new(title, None, iterations);
    report.series = interleave(options.rounds, cases)?;
    Ok(report)
}

fn compile() -> Result<PathBuf> {
    let folder = workspace::target().join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let program = folder.join("getppid");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
    process::run(cc.arg(workspace::workload("bench/getppid.c")))?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_compiles_and_keeps_the_protocol() {
        let mut command = Command::new(compile().unwrap());
        assert!(measure(command.arg("1000")).unwrap() > 0.0);
    }
}
