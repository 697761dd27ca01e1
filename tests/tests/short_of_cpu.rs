//! An event loop that is late because no CPU is free does not block itself.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter;
use pitviper_tests::requirements::{met, tell};
use pitviper_tests::target::Target;

/// Three times what a standstill of that length takes to be told.
const WATCHED: &str = "15s";
const LIMIT: Duration = Duration::from_secs(60);
/// From here on a turn counts as a standstill.
const STANDSTILL_SECONDS: f64 = 0.05;

#[test]
fn waiting_for_a_cpu_is_not_the_doing_of_the_line() -> Result<()> {
    if !met("short_of_cpu")? {
        return Ok(());
    }
    let python = interpreter::pick(0)?;
    let mut target = Target::start::<&str>(&python, "short_of_cpu.py", &[])?;
    let agent =
        Agent::attach(&["attach", &target.pid().to_string(), "--duration", WATCHED, "--json"])?;
    target.tell("go")?;
    let ended = agent.ended(LIMIT)?;
    target.tell("end")?;
    let turns = target.expect("TURNS")?;
    let (count, median) = turns.split_once(' ').context("TURNS has no median")?;
    let (count, median): (u64, f64) = (count.parse()?, median.parse()?);
    tell(&format!("short_of_cpu: {count} turns, {:.0} ms in the middle", median * 1e3));
    ensure!(median >= STANDSTILL_SECONDS, "the CPU was free: turns took {median} s");
    let report = ended.report()?;
    ensure!(report.findings().is_empty(), "found: {}", report.outline());
    report.ledger().check_sums()
}
