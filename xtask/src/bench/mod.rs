//! `cargo xtask bench`: what being watched costs, beside the tools people use instead.
//!
//! Every benchmark runs its cases in turn, round after round, so that a machine that slows
//! down meanwhile slows them all; a case's cost is compared with the `alone` of its own
//! round, and the median over the rounds is what is reported.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::interpreters::{self, Interpreter};
use crate::interrupt;
use crate::setup::{self, Set};

mod attached;
mod beside;
mod compute;
pub(crate) mod environment;
mod fleet;
mod observer;
mod open_close;
mod program_time;
mod py_spy;
mod report;
mod rounds;
mod service;
mod spawns;
mod subject;
mod untraced;

pub(crate) use open_close::InKernel as OpenCloseInKernel;

/// Benchmarks.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// A Python loop that opens and closes a file, 16 frames deep
    OpenClose {
        /// Which cases to run besides `alone` [default: all]
        #[arg(long, value_delimiter = ',')]
        cases: Vec<open_close::Case>,
        #[command(flatten)]
        options: Options,
    },
    /// A Python loop that makes no system call
    Compute(Options),
    /// A Python loop that runs a command
    Spawns(Options),
    /// A web service under full load
    Service(Options),
    /// A process that is not watched while another one is
    Untraced(Options),
    /// Two of the same program at once on one processor, of which one is watched: for machines whose
    /// speed changes from second to second
    Beside {
        /// What runs twice
        workload: beside::Workload,
        #[command(flatten)]
        options: Options,
    },
    /// What the agent itself uses for hundreds of processes that come and go
    Fleet(fleet::Options),
}

/// What all benchmarks take.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How often each case runs
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Iterations of the measured loop [default: enough for about half a second]
    #[arg(long)]
    iterations: Option<u64>,
    /// The interpreter to measure [default: the newest found]
    #[arg(long)]
    python: Option<PathBuf>,
    /// Also write the result to this file as a Markdown table
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Also write the result to this file as JSON, with every round's value
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    setup::ensure(&[Set::Build, Set::Bench])?;
    interrupt::catch();
    let (options, report) = match bench {
        Bench::OpenClose { cases, options } => (options, open_close::run(options, cases)?),
        Bench::Compute(options) => (options, compute::run(options)?),
        Bench::Spawns(options) => (options, spawns::run(options)?),
        Bench::Service(options) => (options, service::run(options)?),
        Bench::Untraced(options) => (options, untraced::run(options)?),
        Bench::Beside { workload, options } => (options, beside::run(options, *workload)?),
        Bench::Fleet(options) => return fleet::run(options),
    };
    print!("\n{}", report.text());
    if let Some(path) = &options.markdown {
        report::write(path, &report.markdown())?;
    }
    if let Some(path) = &options.json {
        report::write(path, &report.json()?)?;
    }
    Ok(())
}

impl Options {
    fn interpreter(&self) -> Result<Interpreter> {
        let Some(program) = &self.python else { return interpreters::newest() };
        let version = interpreters::version_of(&mut Command::new(program))
            .with_context(|| format!("{} is no CPython release", program.display()))?;
        Ok(Interpreter { version, origin: None, program: program.clone() })
    }
}
