//! `cargo xtask bench open-close`: a Python loop that opens and closes a file 16 frames
//! deep, alone and under the tools that see such calls or such stacks.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::observer::{self, Observer};
use super::program_time::{ProgramTime, Statistics};
use super::report::Report;
use super::rounds::{self, interleave};
use super::subject::{Subject, measure};
use super::{Options, py_spy};
use crate::interpreters::Interpreter;
use crate::privilege::Privilege;
use crate::workspace;

/// About half a second alone; some seconds under strace.
const ITERATIONS: u64 = 100_000;

/// A way to run the loop, besides alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// `pitviper attach`
    Pitviper,
    /// `pitviper attach --descriptors-only`
    Descriptors,
    /// `strace --seccomp-bpf` of these two calls
    Strace,
    /// `py-spy record`
    PySpy,
    /// `python -X dev -X tracemalloc=20`
    Tracemalloc,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Pitviper => "pitviper attach",
            Self::Descriptors => "pitviper, descriptors only",
            Self::Strace => "strace --seccomp-bpf",
            Self::PySpy => "py-spy record",
            Self::Tracemalloc => "-X dev -X tracemalloc=20",
        }
    }
}

pub(super) fn run(options: &Options, cases: &[Case]) -> Result<Report> {
    let cases = if cases.is_empty() { Case::value_variants() } else { cases };
    let bench = OpenClose::prepare(options, cases)?;
    let mut all = vec![rounds::Case { name: "alone", run: Box::new(|| bench.alone()) }];
    all.extend(cases.iter().map(|&case| {
        let bench = &bench;
        rounds::Case { name: case.name(), run: Box::new(move || bench.under(case)) }
    }));
    let mut report = Report::new(
        "Opening and closing a file, 16 Python frames deep",
        Some(&bench.python),
        bench.iterations,
    );
    report.series = interleave(options.rounds, all)?;
    if cases.contains(&Case::Pitviper) {
        report.programs = bench.program_times()?;
    }
    Ok(report)
}

/// What the kernel side takes for an iteration, by the kernel's own account.
pub(crate) struct InKernel {
    pitviper: PathBuf,
    privilege: Privilege,
}

impl InKernel {
    pub(crate) fn prepare(privilege: Privilege) -> Result<Self> {
        Ok(Self { pitviper: crate::cargo::build_pitviper()?, privilege })
    }

    /// Nanoseconds an iteration under this interpreter: the median of `rounds`.
    pub(crate) fn of(&mut self, python: &Interpreter, rounds: usize) -> Result<f64> {
        let bench = OpenClose {
            python: python.clone(),
            iterations: ITERATIONS / 4,
            privilege: self.privilege,
            pitviper: Some(self.pitviper.clone()),
            py_spy: None,
        };
        let round = |_| {
            let total = |time: &ProgramTime| time.runs as f64 * time.nanoseconds_per_run;
            let times = bench.program_times()?;
            Ok(times.iter().map(total).sum::<f64>() / bench.iterations as f64)
        };
        let values = (0..rounds).map(round).collect::<Result<Vec<_>>>()?;
        Ok(rounds::median(&values))
    }
}

struct OpenClose {
    python: Interpreter,
    iterations: u64,
    privilege: Privilege,
    /// Only what the chosen cases need is built or installed.
    pitviper: Option<PathBuf>,
    py_spy: Option<PathBuf>,
}

impl OpenClose {
    fn prepare(options: &Options, cases: &[Case]) -> Result<Self> {
        let wants = |case| cases.contains(&case);
        Ok(Self {
            python: options.interpreter()?,
            iterations: options.iterations.unwrap_or(ITERATIONS),
            privilege: observer::privilege()?,
            pitviper: (wants(Case::Pitviper) || wants(Case::Descriptors))
                .then(crate::cargo::build_pitviper)
                .transpose()?,
            py_spy: wants(Case::PySpy).then(py_spy::install).transpose()?,
        })
    }

    /// The loop's command line after the words that come before Python's name.
    fn command(&self, before: &[&str], options: &[&str]) -> Command {
        let python = &self.python.program;
        let mut command = match before {
            [] => Command::new(python),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(python);
                command
            }
        };
        command.arg("-B").args(options).arg(workspace::workload("bench/open_close.py"));
        command.arg(self.iterations.to_string());
        command
    }

    fn alone(&self) -> Result<f64> {
        measure(&mut self.command(&[], &[]))
    }

    fn under(&self, case: Case) -> Result<f64> {
        match case {
            Case::Pitviper => {
                self.observed(|pid| self.attach_pitviper(pid), || Ok(())).map(|(time, ())| time)
            }
            Case::Descriptors => {
                let program = self.pitviper.as_ref().context("pitviper was not built")?;
                let attach = |pid| Observer::descriptors(self.privilege, program, pid);
                self.observed(attach, || Ok(())).map(|(time, ())| time)
            }
            Case::PySpy => {
                let program = self.py_spy.as_ref().context("py-spy was not installed")?;
                let attach = |pid| Observer::py_spy(self.privilege, program, pid);
                self.observed(attach, || Ok(())).map(|(time, ())| time)
            }
            Case::Strace => measure(&mut self.command(
                &["strace", "-f", "--seccomp-bpf", "-e", "trace=openat,close", "-o", "/dev/null"],
                &[],
            )),
            Case::Tracemalloc => {
                measure(&mut self.command(&[], &["-X", "dev", "-X", "tracemalloc=20"]))
            }
        }
    }

    fn attach_pitviper(&self, pid: u32) -> Result<Observer> {
        let program = self.pitviper.as_ref().context("pitviper was not built")?;
        Observer::pitviper(self.privilege, program, pid)
    }

    /// Measures with an observer attached; `look` is called before it is detached.
    fn observed<T>(
        &self,
        attach: impl FnOnce(u32) -> Result<Observer>,
        look: impl FnOnce() -> Result<T>,
    ) -> Result<(f64, T)> {
        let mut subject = Subject::start(&mut self.command(&[], &[]))?;
        let observer = attach(subject.pid())?;
        let time = subject.measure()?;
        let seen = look()?;
        subject.finish()?;
        observer.finish()?;
        Ok((time, seen))
    }

    /// The kernel's own count of what the eBPF programs take, in a run that is not among
    /// those above because the counting costs time too.
    fn program_times(&self) -> Result<Vec<ProgramTime>> {
        eprintln!("one more run, counted by the kernel");
        let statistics = Statistics::enable(self.privilege)?;
        let attach = |pid| self.attach_pitviper(pid);
        let (_, times) = self.observed(attach, || statistics.since_enabled())?;
        Ok(times)
    }
}
