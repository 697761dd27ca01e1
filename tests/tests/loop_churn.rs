//! A loop of uvloop's for each message is reported at the line that makes it, however it is made.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::Interpreter;
use pitviper_tests::report::{is_confirmed, outline};
use pitviper_tests::requirements::met;
use pitviper_tests::site::marked;
use pitviper_tests::target::Target;
use pitviper_tests::trace::parse_line;
use pitviper_tests::{together, venv};

const LIMIT: Duration = Duration::from_secs(30);
/// Loops a minute: what the workload makes at most, and a good deal less on a busy machine.
const PER_MINUTE: std::ops::RangeInclusive<f64> = 60.0..=300.0;

fn check(python: &Interpreter, way: &str) -> Result<()> {
    let mut target = Target::start(python, "loop_churn.py", &[way])?;
    let mut agent = Agent::attach(&["attach", &target.pid().to_string(), "--json=lines"])?;
    target.tell("go")?;
    let line = agent.line_where("event-loop-churn", LIMIT, |line| {
        parse_line(line).is_ok_and(|finding| is_confirmed(&finding, "event-loop-churn"))
    })?;
    let finding = parse_line(&line)?;
    let site = marked("loop_churn.py", way)?;
    ensure!(site.is(&finding["site"]), "not at {site:?}: {}", outline(&finding));
    let rate = finding["evidence"]["per_minute"].as_f64().context("no rate")?;
    ensure!(PER_MINUTE.contains(&rate), "{rate} a minute: {}", outline(&finding));
    agent.stop()?;
    Ok(())
}

#[test]
fn a_loop_for_each_message_is_told_under_uvloop() -> Result<()> {
    if !met("loop_churn")? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let python = venv::create(0, folder.path(), &["uvloop==0.21.0"])?;
    let ways = ["run", "policy", "factory"];
    together::each(ways.len(), &ways, |way| (*way).to_owned(), |way| check(&python, way))
}
