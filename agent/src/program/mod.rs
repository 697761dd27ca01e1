//! The commands: they tie the stations together and talk to the person.

mod agent;
mod arguments;
mod attach;
mod clock;
mod completions;
mod console;
mod doctor;
mod errno;
mod error;
mod family;
mod graph;
mod lock;
mod man;
mod metrics;
mod names;
mod native;
mod nearest;
mod objects;
mod progress;
mod record;
mod served;
mod service;
mod session;
mod setting;
mod stop;
mod target;
mod tasks;
mod trace;
mod watch;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;

use crate::python::Interpreter;
use crate::source::Flow;

pub use arguments::Arguments;
use arguments::Command;
pub use error::{Exit, ProgramError};

/// Runs the program; its exit code is part of what it promises.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed terminal is no reason to fail differently.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Clean.into() };
        }
    };
    let done = match &arguments.command {
        Command::Trace(options) => trace::run(options),
        Command::Attach(options) => attach::run(options),
        Command::Agent(options) => agent::run(options),
        Command::Record(options) => record::run(options),
        Command::Doctor(options) => doctor::run(options),
        Command::Completions(options) => completions::run(options),
        Command::Man(options) => man::run(options),
        Command::BenchEmptyPair => bench_empty_pair(),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("pitviper: {error}");
            error.exit().into()
        }
    }
}

/// The runtime for signals and the web: the probes are served by the main thread.
fn runtime() -> Result<tokio::runtime::Runtime, ProgramError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|cause| ProgramError::Start { what: "the runtime", cause })
}

/// Says that events come from now on. Scripts wait for this line.
fn greet(session: &session::Session) {
    if let Some(root) = session.root() {
        let python = root.interpreter.as_ref().map_or_else(String::new, Interpreter::name);
        eprintln!("pitviper: attached to process {} (CPython {python})", root.facts.pid);
        if let Some(caution) = root.interpreter.as_ref().and_then(Interpreter::caution) {
            eprintln!("pitviper: note: {caution}");
        }
    }
    for missing in session.source.missing() {
        eprintln!("pitviper: note: {missing}");
    }
}

/// Says on standard error what was lost.
fn tell_losses(flows: &BTreeMap<&'static str, Flow>) {
    for (kind, flow) in flows {
        for (cause, count) in &flow.dropped {
            eprintln!("pitviper: lost {count} events of kind `{kind}`: {cause}");
        }
    }
}

/// Says on standard error how many native stacks could not be told.
fn tell_native(session: &session::Session) {
    let Some(outcomes) = session.native.outcomes() else { return };
    let failed = outcomes.incomplete + outcomes.refused;
    if failed > 0 {
        let all = failed + outcomes.complete;
        eprintln!("pitviper: note: of {all} native stacks {failed} could not be unwound");
    }
}

fn bench_empty_pair() -> Result<Exit, ProgramError> {
    let _pair = crate::source::ebpf::EmptyPair::attach()?;
    eprintln!(
        "pitviper: attached to every system call, with empty probes; close standard input to end"
    );
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())
        .map_err(|cause| ProgramError::Output { what: "standard input".into(), cause })?;
    Ok(Exit::Clean)
}
