//! Memory that grows is told at the line that keeps it, whatever allocator the interpreter has:
//! pymalloc and the C library's, which map as they go, or mimalloc, which maps a gigabyte ahead.

use std::time::Duration;

use anyhow::{Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::{is_confirmed, outline};
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;

const PROGRAM: &str = "growing_memory.py";
const KIND: &str = "memory-growth";
/// It takes 20 s of even growth to be sure.
const LIMIT: Duration = Duration::from_secs(90);
/// They mostly wait.
const AT_ONCE: usize = 5;

fn check(python: &Interpreter) -> Result<()> {
    let mut target = Target::start(python, PROGRAM, &[] as &[&str])?;
    let mut agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
    target.tell("go")?;
    let line = agent.line_where(KIND, LIMIT, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, KIND))
    })?;
    let finding = parse_line(&line)?;
    let site = marked(PROGRAM, "keeps")?;
    ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
    let evidence = &finding["evidence"];
    tell(&format!("{}: {evidence}", python.label));
    // The other line's objects come and go in what the interpreter keeps of them.
    ensure!(evidence["explained_share"].as_f64() >= Some(0.8), "{evidence}");
    agent.stop()?;
    Ok(())
}

#[test]
fn the_line_that_keeps_memory_is_told_on_every_interpreter() -> Result<()> {
    if !met("growing_memory")? {
        return Ok(());
    }
    interpreter::on_every(AT_ONCE, check)
}
