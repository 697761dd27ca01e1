//! Calls that are interrupted, restarted, killed or cut off by an exec leave no phantom durations and
//! no entries behind.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pitviper_tests::agent::Agent;
use pitviper_tests::interpreter::{self, Interpreter};
use pitviper_tests::report::Report;
use pitviper_tests::requirements::met;
use pitviper_tests::target::Target;
use serde_json::Value;

/// How an interpreter sleeps: by clock_nanosleep, or before 3.11 by select.
const SLEEPS: [&str; 2] = ["sleep", "poll"];

const REPETITIONS: u32 = 10_000;
/// Seconds by which a call may be seen to last longer than it asked for, on a busy machine.
const LATE: f64 = 1.0;

fn run(python: &Interpreter, deed: &str, count: u32) -> Result<(Value, Report)> {
    let mut target = Target::start(python, "interrupted.py", &[deed, &count.to_string()])?;
    let agent = Agent::attach(&["attach", &target.pid().to_string(), "--json"])?;
    target.tell("go")?;
    let truth = target.expect_within("DONE", Duration::from_secs(240))?;
    let report = agent.stop()?.report()?;
    report.ledger().check_sums()?;
    Ok((serde_json::from_str(&truth)?, report))
}

/// Seconds of all waits of these classes.
fn total(report: &Report, classes: &[&str]) -> f64 {
    classes.iter().filter_map(|class| report.waits(class)["seconds"].as_f64()).sum()
}

/// The longest wait of the classes in which the workload waits.
fn longest(report: &Report, classes: &[&str]) -> f64 {
    let of_class =
        |one: &&Value| one["act"] == "wait" && classes.iter().any(|class| one["class"] == *class);
    let seconds = report.activity().iter().filter(of_class);
    seconds.filter_map(|one| one["max_seconds"].as_f64()).fold(0.0, f64::max)
}

fn seconds(truth: &Value, key: &str) -> Result<f64> {
    truth[key].as_f64().with_context(|| format!("no {key} in {truth}"))
}

/// Exercise 10,000 waits that a signal cuts short.
#[test]
fn interrupted_waits_last_as_long_as_they_did() -> Result<()> {
    if !met("interrupted_calls")? {
        return Ok(());
    }
    let (truth, report) = run(&interpreter::pick(3)?, "signals", REPETITIONS)?;
    let seen = longest(&report, &SLEEPS);
    ensure!(seen <= seconds(&truth, "longest")? + LATE, "a wait of {seen} s: {truth}");
    let total = total(&report, &SLEEPS);
    let all = seconds(&truth, "seconds")?;
    ensure!(total <= all * 1.01, "{total} s of waits in {all} s");
    Ok(())
}

/// Exercise sleeps that are stopped, continued and restarted: one sleep stays one.
#[test]
fn restarted_sleeps_are_one_call() -> Result<()> {
    if !met("interrupted_calls")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let (truth, report) = run(python, "stops", 200)?;
        let seen = longest(&report, &SLEEPS);
        let longest = seconds(&truth, "longest")?;
        ensure!(seen <= longest + 0.01, "a sleep of {seen} s, the longest was {longest}");
        ensure!(seen >= 0.05, "no sleep is seen whole: {seen} s");
        let (total, all) = (total(&report, &SLEEPS), seconds(&truth, "seconds")?);
        ensure!((0.8..=1.01).contains(&(total / all)), "{total} s of sleeps in {all} s");
        Ok(())
    })
}

/// Exercise 10,000 of everything that has an entry in a table: nothing stays.
#[test]
fn nothing_is_left_in_the_tables() -> Result<()> {
    if !met("interrupted_calls")? {
        return Ok(());
    }
    let (_, report) = run(&interpreter::pick(5)?, "turnover", REPETITIONS)?;
    for (table, most) in
        [("children", 0), ("connecting", 0), ("mappings", 64), ("descriptors", 16), ("warnings", 1)]
    {
        let entries = report.ledger().count(&format!("/tables/{table}/entries"))?;
        ensure!(entries <= most, "{entries} entries in {table}: {}", report.ledger().0["tables"]);
    }
    let lost = report.ledger().dropped("/dropped")?;
    ensure!(lost == 0, "{lost} events lost: {}", report.ledger().0["dropped"]);
    Ok(())
}

/// Exercise an exec in place that kills twenty blocked threads.
#[test]
fn threads_that_an_exec_kills_are_not_blocked_for_ever() -> Result<()> {
    if !met("interrupted_calls")? {
        return Ok(());
    }
    interpreter::on_every(2, |python| {
        let (truth, report) = run(python, "exec", 1)?;
        let seen = longest(&report, &["read"]);
        ensure!(seen <= seconds(&truth, "longest")?, "a read of {seen} s");
        Ok(())
    })
}
