//! Several interpreters in one process: threads that run in them have their own stacks, and what they
//! leak is told at its line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::site::{marked, workload};
use pitviper_tests::target::Target;
use pitviper_tests::trace::Trace;
use pitviper_tests::{leak, opened};

/// Those that `subinterpreters.py` makes.
const INTERPRETERS: usize = 4;

/// Fewer opens than these would show nothing.
const OPENED: usize = 900;

const LIMIT: Duration = Duration::from_secs(60);

/// Versions that are tried at the same time: they mostly wait.
const AT_ONCE: usize = 7;

/// Each interpreter imports for itself what it needs.
const START: Duration = Duration::from_secs(120);

fn start(python: &Interpreter, arguments: &[&str]) -> Result<Target> {
    let mut command = python.command();
    command.arg(workload("subinterpreters.py")).args(arguments);
    Target::start_command_within(command, START)
}

#[test]
fn each_interpreter_has_its_own_stacks() -> Result<()> {
    if !met("subinterpreters")? {
        return Ok(());
    }
    interpreter::on_every(1, own_stacks)
}

fn own_stacks(python: &Interpreter) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut target = start(python, &[&folder.path().display().to_string()])?;
    let agent = Agent::attach(&["trace", &target.pid().to_string(), "--json"])?;
    target.tell("go")?;
    target.expect("RECORDED")?;
    let ended = agent.stop()?;
    let trace = Trace::parse(&ended.stdout)?;
    let records: Vec<PathBuf> = (0..INTERPRETERS)
        .map(|number| folder.path().join(format!("interpreter-{number}.json")))
        .collect();
    let compared = opened::check(&trace, &records)?;
    ensure!(compared >= OPENED, "{compared} stacks are too few to tell");
    tell(&format!("{}: {compared} stacks in {INTERPRETERS} interpreters", python.label));
    Ok(())
}

#[test]
fn a_leak_in_one_is_told_at_its_line() -> Result<()> {
    if !met("subinterpreters")? {
        return Ok(());
    }
    interpreter::on_every(AT_ONCE, leak_is_told)
}

fn leak_is_told(python: &Interpreter) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().display().to_string();
    let mut target = start(python, &[&folder, "60"])?;
    let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
    target.tell("go")?;
    leak::told_at(agent, &marked("inside_interpreter.py", "inside")?, LIMIT)?;
    Ok(())
}
