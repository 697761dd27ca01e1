//! `cargo xtask bench beside`: two of the same program at the same time on one processor, of which
//! one is watched. The kernel lets them run in turn, some milliseconds each, so that a machine whose
//! speed changes from second to second changes both alike; what each has used of the processor is
//! compared. The one that is not watched pays what every process of the machine pays meanwhile
//! (`cargo xtask bench untraced`): that is not in the ratio.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::observer::{self, Observer};
use super::report::Report;
use super::rounds::Series;
use super::subject::Subject;
use super::{Options, service};
use crate::{cargo, interrupt, workspace};

/// The processor that both run on; load and agent are elsewhere.
const PROCESSOR: &str = "0";

/// What runs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Opens and closes a file, 16 frames deep
    OpenClose,
    /// Runs a command
    Spawns,
    /// A web service under load
    Service,
}

impl Workload {
    /// The program, and how much it does in a round: some seconds.
    fn program(self) -> (&'static str, u64, &'static str) {
        match self {
            Self::OpenClose => ("bench/open_close.py", 200_000, "Opening and closing a file"),
            Self::Spawns => ("bench/spawns.py", 1_000, "Running the command `true`"),
            Self::Service => ("bench/service.py", 8, "A request of FastAPI, uvicorn and SQLite"),
        }
    }
}

pub(super) fn run(options: &Options, workload: Workload) -> Result<Report> {
    let python = options.interpreter()?;
    let privilege = observer::privilege()?;
    let pitviper = cargo::build_pitviper()?;
    let program = match workload {
        Workload::Service => service::install(&python)?,
        _ => python.program.clone(),
    };
    let (script, amount, title) = workload.program();
    let amount = options.iterations.unwrap_or(amount);
    let script = workspace::workload(script);
    let mut series = ["not watched, beside it", "pitviper attach"]
        .map(|name| Series { name, nanoseconds: Vec::new() });
    for round in 0..options.rounds {
        interrupt::check()?;
        let mut pair = [start(&program, &script, amount)?, start(&program, &script, amount)?];
        // The first and the second in turn, should it matter which was started first.
        let watched = round % 2;
        let observer = Observer::pitviper(privilege, &pitviper, pair[watched].pid())?;
        pair.iter_mut().try_for_each(Subject::begin)?;
        for (index, subject) in pair.iter_mut().enumerate() {
            let used = subject.result()?.processor.context("the program tells no CPU time")?;
            series[usize::from(index == watched)].nanoseconds.push(used);
        }
        pair.into_iter().try_for_each(Subject::finish)?;
        observer.finish()?;
        let last = |series: &Series| series.nanoseconds.last().copied().unwrap_or(f64::NAN);
        let (alone, attached) = (last(&series[0]), last(&series[1]));
        eprintln!(
            "round {}/{}  {alone:>12.1} ns  {attached:>12.1} ns  {:.3}",
            round + 1,
            options.rounds,
            attached / alone
        );
    }
    let mut report = Report::new(title, Some(&python), amount);
    report.series = series.into();
    report.notes.push(
        "CPU time of two at once on one processor. What every process pays while pitviper runs is \
         in both: see `cargo xtask bench untraced`."
            .to_owned(),
    );
    Ok(report)
}

fn start(program: &Path, script: &Path, amount: u64) -> Result<Subject> {
    let mut command = Command::new(program);
    command.arg("-B").arg(script).arg(amount.to_string()).env("BENCH_PROCESSOR", PROCESSOR);
    Subject::start(&mut command)
}
